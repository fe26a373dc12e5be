// Shannon's guessing game. The server knows the text, and tells whether a guess is right.
import { by, element } from "./bytes.js";
import { told } from "./net.js";

const LETTERS = "abcdefghijklmnopqrstuvwxyz ";
const NOTHING = Math.log2(LETTERS.length);

export class Game {
  // `changed()` is called when the state changed, `failed(message)` when it cannot be shown.
  constructor(limits, changed, failed) {
    this.limits = limits;
    this.changed = changed;
    this.failed = failed;
    this.passage = 0;
    this.ranks = [];
    this.tried = new Set();
    by("keys").append(...[...LETTERS].map((letter) => {
      const key = element("button", { type: "button", className: letter === " " ? "space" : "" }, letter === " " ? "space" : letter);
      key.dataset.letter = letter;
      key.addEventListener("click", () => this.guess(letter));
      return key;
    }));
    by("another").addEventListener("click", () => this.begin((this.passage + 1) % (this.count ?? 1), []));
    document.addEventListener("keydown", (event) => {
      if (by("game").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.matches("input, select, textarea, button") && event.key === " ") return;
      const letter = event.key.toLowerCase();
      if (letter.length === 1 && LETTERS.includes(letter)) { event.preventDefault(); event.stopImmediatePropagation(); this.guess(letter); }
    }, true);
  }

  async begin(passage, ranks) {
    this.passage = passage;
    this.ranks = ranks;
    this.tried.clear();
    by("verdict").textContent = "Type a letter or the space bar.";
    await this.show();
  }

  async guess(letter) {
    if (this.busy || this.tried.has(letter) || this.over) return;
    this.busy = true;
    try {
      const { right } = await told("guess", { passage: this.passage, place: this.ranks.length, letter });
      this.tried.add(letter);
      const name = letter === " " ? "space" : letter;
      if (right) {
        this.ranks.push(this.tried.size);
        by("verdict").textContent = `${name}: right at guess ${this.tried.size}.`;
        this.tried.clear();
        await this.show();
      } else {
        by("verdict").textContent = `${name}: no. Guess again.`;
        this.#keys();
      }
    } catch (error) {
      by("verdict").textContent = error.message;
    }
    this.busy = false;
  }

  #keys() {
    for (const key of by("keys").children) key.disabled = this.over || this.tried.has(key.dataset.letter);
  }

  async show() {
    let answer;
    try { answer = await told("game", { passage: this.passage, place: this.ranks.length, ranks: this.ranks.join(".") }); } catch (error) {
      this.failed(error.message);
      return;
    }
    const { shown, left, read, players, passages } = answer;
    this.count = passages;
    this.over = left === 0;
    by("passage").replaceChildren(element("span", { className: "soft" }, shown.slice(0, this.limits.shown)), shown.slice(this.limits.shown),
      this.over ? "" : element("span", { className: "next" }, "\u00a0"));
    if (this.over) by("verdict").textContent = "That was the last letter.";
    this.#keys();
    const worst = Math.max(NOTHING, ...players.map((player) => player.bits ?? 0));
    const rows = players.map(({ name, bits, own, ranks }) => {
      const fill = element("span", { className: "fill" });
      fill.style.width = `${100 * (bits ?? 0) / worst}%`;
      return element("tr", { className: name === "you" ? "you" : "" }, element("th", { scope: "row" }, name),
        element("td", {}, bits === null ? "–" : bits.toFixed(2)), element("td", { className: "meter" }, fill),
        element("td", {}, own === null ? "–" : own.toFixed(2)), element("td", {}, ranks.length ? String(ranks.at(-1)) : "–"));
    });
    const head = ["player", "bits a letter", "", "by own chances", "guesses for the last"].map((text) => element("th", { scope: "col" }, text));
    by("scores").replaceChildren(element("table", {}, element("caption", { className: "visually-hidden" }, "scores"),
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
    by("fairness").textContent = `Passage ${this.passage + 1} of ${passages}, ${left} letters left. gzip and ppmd have read ${read.toLocaleString("en")} letters of such passages, and you have read all your life. `
      + `One code prices the numbers of all players: it learns how often each number comes, so the first letters cost most. One who knows nothing guesses in any order, and by own chances pays ${NOTHING.toFixed(2)} bits.`;
    this.changed();
  }
}
