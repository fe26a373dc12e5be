// A column: a compressor, its bars of the next byte, and its continuation.
import { coloured, element, joined, label, percent } from "./bytes.js";
import { paint } from "./media.js";
import { latest, listen, told } from "./net.js";

const SHOWN = 8; // bars
const SLIDE = 180; // milliseconds
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Column {
  // `host` has context(), query(), draw(), take(bytes), drop(column).
  constructor(spec, host) {
    this.spec = spec;
    this.host = host;
    this.note = element("p", { className: "small soft", hidden: true });
    this.bars = element("div", { className: "bars", role: "group", "aria-label": `next bytes by ${spec}` });
    this.headline = element("p", { className: "headline" }, "…");
    this.sample = element("div", { className: "sample", hidden: true });
    const remove = element("button", { type: "button", "aria-label": `remove ${spec}`, title: "remove" }, "×");
    remove.addEventListener("click", () => host.drop(this));
    this.card = element("article", { className: "card" },
      element("header", {}, element("h3", {}, title(spec)), remove), this.headline, this.note, this.bars, this.sample);
    this.byByte = new Map();
    this.ask = latest(() => this.#ask());
  }

  async #ask() {
    const context = this.host.context();
    try {
      const answer = await told("next", this.host.query(this.spec), context.bytes);
      this.#show(answer, context);
    } catch (error) {
      this.headline.textContent = error.message;
      this.note.hidden = true;
      this.bars.replaceChildren();
      this.byByte.clear();
    }
  }

  #show({ frequencies, expected, needs, model }, context) {
    this.headline.replaceChildren(element("b", {}, expected.toFixed(2)), " bits expected of the next byte");
    this.note.textContent = `It expects nothing yet: its law is found from ${needs} bytes or more.`;
    this.note.hidden = needs === null;
    this.card.title = model;
    const order = frequencies.map((_, byte) => byte).sort((a, b) => frequencies[b] - frequencies[a] || a - b);
    const before = new Map([...this.byByte].map(([byte, row]) => [byte, row.getBoundingClientRect().top]));
    const focused = document.activeElement, rows = new Map();
    for (const byte of order.slice(0, SHOWN)) {
      const row = this.byByte.get(byte) ?? this.#bar(byte, context);
      this.#fill(row, byte, frequencies[byte] / 2 ** 24);
      rows.set(byte, row);
    }
    this.byByte = rows;
    this.bars.replaceChildren(...rows.values());
    if (this.bars.contains(focused)) focused.focus({ preventScroll: true });
    if (still.matches) return;
    for (const [byte, row] of rows) {
      const moved = before.has(byte) ? before.get(byte) - row.getBoundingClientRect().top : 0;
      if (moved) row.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], { duration: SLIDE, easing: "ease-out" });
      else if (!before.has(byte)) row.animate([{ opacity: 0 }, { opacity: 1 }], { duration: SLIDE });
    }
  }

  #bar(byte, context) {
    const text = element("span", { className: "label" });
    if (context.kind === "text") text.textContent = label(byte);
    else {
      if (context.kind === "picture") {
        const swatch = element("span", { className: "swatch" });
        swatch.style.background = `rgb(${byte} ${byte} ${byte})`;
        text.append(swatch, " ");
      }
      text.append(String(byte));
    }
    const row = element("button", { type: "button", className: "bar" }, text,
      element("span", { className: "fill" }), element("span", { className: "share" }));
    row.dataset.byte = byte;
    row.addEventListener("click", () => this.host.take(Uint8Array.of(byte)));
    return row;
  }

  #fill(row, byte, share) {
    row.children[1].style.width = `${100 * share}%`;
    row.children[2].textContent = percent(share);
    row.setAttribute("aria-label", `take ${label(byte)}: ${percent(share)}`);
  }

  // Forget the bars, since what they stand for has changed.
  clear() {
    this.byByte.clear();
    this.bars.replaceChildren();
    this.sample.hidden = true;
  }

  // Draw a continuation until it ends or `signal` aborts it.
  async draw(signal) {
    const context = this.host.context(), query = { ...this.host.query(this.spec), ...this.host.draw() };
    const shown = context.kind === "text" ? element("div", { className: "text", tabIndex: 0, role: "region", "aria-label": `continuation by ${this.spec}` })
      : element("canvas", { className: context.kind === "picture" ? "pixels" : "wave", role: "img", "aria-label": `continuation by ${this.spec}` });
    const note = element("p", { className: "headline" }, "drawing …");
    const buttons = element("div", { className: "controls" });
    this.sample.replaceChildren(shown, note, buttons);
    this.sample.hidden = false;
    let made = new Uint8Array(0);
    const show = (bits) => {
      if (context.kind === "text") coloured(shown, made, bits);
      else paint(shown, context, made);
      if (!bits) note.textContent = `${made.length} bytes …`;
    };
    try {
      await listen("sample", query, context.bytes, signal, (kind, value) => {
        if (kind === "bytes") { made = joined(made, Uint8Array.from(value)); show(); }
        if (kind === "failed") throw new Error(value.error);
        if (kind === "end") {
          made = Uint8Array.from(value.data);
          show(value.bits);
          const mean = value.bits.reduce((sum, one) => sum + one, 0) / Math.max(value.bits.length, 1);
          note.replaceChildren(element("b", {}, mean.toFixed(2)), ` bits a byte, seed ${value.seed}`);
        }
      });
    } catch (error) {
      note.textContent = signal.aborted ? `stopped after ${made.length} bytes` : error.message;
    }
    if (!made.length) return;
    const take = element("button", { type: "button" }, "Take it");
    take.addEventListener("click", () => this.host.take(made));
    buttons.append(take);
    if (context.kind === "sound") {
      const play = element("button", { type: "button" }, "Play");
      play.addEventListener("click", () => this.host.play(joined(context.bytes, made)));
      buttons.prepend(play);
    }
  }
}

// A spec as a title: gzip:rule=one-step is "gzip, one-step".
export const title = (spec) => spec.replaceAll(":rule=", ", ").replaceAll("+", " + ");
