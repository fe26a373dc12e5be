// The text, coloured by what its bytes cost; and for a byte that is touched, why it cost that.
import { by, characters, element, label, level, percent, visible } from "./bytes.js";
import { latest, told } from "./net.js";

const FEW = 3; // sources and parses that are shown
const decoder = new TextDecoder();

export class Reading {
  // `host` has context(), query(spec), reader().
  constructor(host) {
    this.host = host;
    this.line = by("line");
    this.place = -1; // position of the byte that is explained
    this.spans = [];
    this.read = latest(() => this.#read());
    this.explain = latest((place) => this.#explain(place));
    this.line.addEventListener("click", (event) => {
      const at = event.target.dataset?.at;
      if (at !== undefined) this.go(Number(at));
    });
    this.line.addEventListener("keydown", (event) => {
      const here = this.spans.findIndex(([at]) => at === this.place);
      const to = { ArrowLeft: here - 1, ArrowRight: here + 1, ArrowUp: here - 10, ArrowDown: here + 10, Home: 0, End: this.spans.length - 1 }[event.key];
      if (to === undefined || !this.spans.length) return;
      event.preventDefault();
      this.go(this.spans[Math.min(Math.max(to, 0), this.spans.length - 1)][0]);
    });
  }

  async #read() {
    const { bytes } = this.host.context();
    this.bytes = bytes;
    let answer;
    try { answer = await told("surprisals", this.host.query(this.host.reader()), bytes); } catch (error) {
      this.line.textContent = error.message;
      this.spans = [];
      return;
    }
    const { begin, bits } = answer;
    this.begin = begin;
    const shown = characters(bytes.subarray(begin, begin + bits.length));
    this.spans = shown.map(([text, at, size]) => {
      const cost = bits.slice(at, at + size).reduce((sum, one) => sum + one, 0);
      const span = element("span", { className: level(cost), title: `${cost.toFixed(2)} bits` }, text);
      span.dataset.at = begin + at;
      return [begin + at, span];
    });
    this.line.replaceChildren(begin ? element("span", { className: "soft" }, "… ") : "", ...this.spans.map(([, span]) => span));
    this.line.setAttribute("aria-valuemin", begin);
    this.line.setAttribute("aria-valuemax", Math.max(bytes.length - 1, begin));
    const known = this.spans.some(([at]) => at === this.place);
    if (!known) this.place = -1;
    if (known) this.go(this.place);
    else by("explained").replaceChildren(element("p", { className: "soft" }, bits.length
      ? `${(bits.reduce((sum, one) => sum + one, 0) / bits.length).toFixed(2)} bits a byte over the last ${bits.length} bytes. A byte of which nothing is known costs 8.`
      : "Type something first."));
  }

  go(place) {
    this.place = place;
    for (const [at, span] of this.spans) span.classList.toggle("here", at === place);
    const here = this.spans.find(([at]) => at === place);
    here?.[1].scrollIntoView({ block: "nearest" });
    this.line.setAttribute("aria-valuenow", place);
    this.line.setAttribute("aria-valuetext", `byte ${place + 1}: ${here?.[1].textContent ?? ""}`);
    this.explain(place);
  }

  async #explain(place) {
    let answer;
    const { bytes } = this;
    try { answer = await told("explain", { ...this.host.query(this.host.reader()), position: place }, bytes); } catch (error) {
      by("explained").replaceChildren(element("p", {}, error.message));
      return;
    }
    if (this.place !== place) return;
    const { byte, bits, rank, rule, ways, parts, seen } = answer;
    const odds = 2 ** bits;
    const parts_ = [element("p", { className: "big" }, element("b", {}, label(byte)), ` cost ${bits.toFixed(2)} bits`)];
    parts_.push(element("p", { className: "soft" }, `Its chance was ${odds < 1000 ? percent(1 / odds) : `1 in ${Math.round(odds).toLocaleString("en")}`}. ${rank === 1 ? "No byte was expected more." : `${rank - 1} other${rank === 2 ? " was" : "s were"} expected more.`}`));
    let source = null;
    if (ways) {
      const best = ways.sources[0];
      if (best && best.share > ways.literal) source = [place - best.distance - best.run, place - best.distance + 1];
      parts_.push(...this.#ways(ways, place, byte));
    } else if (seen && seen.length) source = [seen.place - seen.length, seen.place + 1];
    if (rule === "one-step") parts_.push(element("p", {}, "The rule compares the code lengths of the text with each of the 256 bytes behind it, and looks at nothing else."));
    if (!ways && parts.length) parts_.push(...this.#parts(parts));
    if (!ways) parts_.push(element("p", { className: "soft" }, seen
      ? `The ${seen.length ? `${seen.length === 1 ? "byte" : `${seen.length} bytes`} before stood` : "byte itself stood"} ${(place - seen.place).toLocaleString("en")} bytes earlier, and it followed there too.`
      : "It had not come before."));
    for (const [at, span] of this.spans) span.classList.toggle("source", source !== null && at >= source[0] && at < source[1]);
    by("explained").replaceChildren(...parts_);
  }

  #text(begin, end) { return visible(decoder.decode(this.bytes.subarray(Math.max(begin, 0), end))).replaceAll("\n", "↵"); }

  #ways(ways, place, byte) {
    const list = element("ul", {});
    if (ways.literal > 0.005) list.append(element("li", {}, `${percent(ways.literal)} a letter by itself`));
    for (const { distance, run, share } of ways.sources.slice(0, FEW)) {
      if (share < 0.005) continue;
      list.append(element("li", {}, `${percent(share)} a copy from ${distance.toLocaleString("en")} bytes back${run ? `: “${this.#text(place - distance - run, place - distance)}” stood there too` : ", begun here"}`));
    }
    const parses = ways.parses.slice(0, FEW).map(({ share, pieces }) => element("div", { className: "parse" },
      element("span", { className: "share" }, percent(share)),
      element("span", { className: "pieces" }, ...pieces.map(([begin, end, distance, bits]) => element("span",
        { className: distance ? "copy" : "", title: `${distance ? `a copy from ${distance} bytes back` : "a letter"}, ${bits} bits` },
        begin < place ? this.#text(begin, Math.min(end, place)) + (end > place ? label(byte) : "") : label(byte))))));
    return [element("p", {}, "Where its chance comes from:"), list,
      element("p", {}, "Ways to write the last bytes that compete; a frame is one copy:"), element("div", {}, ...parses)];
  }

  #parts(parts) {
    const list = element("ul", {}, ...parts.map(({ order, share }) => element("li", {},
      `${order === 0 ? "anywhere" : `after the last ${order === 1 ? "byte" : `${order} bytes`}`}: ${percent(share)}`)));
    return [element("p", {}, "For comparison, its chance by what followed earlier in the text:"), list];
  }
}
