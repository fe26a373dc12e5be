"use strict";
// The next-byte explorer: one position of a text, and what each compressor expected there.
const data = JSON.parse(by("data").textContent);
let place = 0;

function label(byte) {
  if (byte > 32 && byte < 127) return String.fromCharCode(byte);
  return { 32: "space", 10: "\\n", 9: "\\t" }[byte] || "x" + byte.toString(16).padStart(2, "0");
}
function display(byte) {
  if (byte === 10 || byte === 9) return String.fromCharCode(byte);
  if (byte < 32) return String.fromCharCode(0x2400 + byte);
  return byte < 127 ? String.fromCharCode(byte) : "\ufffd";
}

function element(name, cls, text) {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  if (text !== undefined) made.textContent = text;
  return made;
}

by("line").append(element("span", "known", data.context.map(display).join("")));
const letters = data.bytes.map((byte, number) => {
  const letter = element("span", "", display(byte));
  letter.dataset.at = number;
  letter.addEventListener("click", () => go(number));
  by("line").append(letter);
  return letter;
});

function bar(byte, share, real) {
  const row = element("div", real ? "bar real" : "bar");
  row.dataset.byte = byte;
  const width = element("b", "fill");
  width.style.width = `${100 * share}%`;
  row.append(element("span", "", label(byte)), width, element("span", "share", `${(100 * share).toFixed(1)}%`));
  if (real) row.firstChild.append(element("span", "visually-hidden", " (came)"));
  row.addEventListener("mouseenter", () => light(byte));
  row.addEventListener("mouseleave", () => light(-1));
  return row;
}

function light(byte) {
  for (const row of document.querySelectorAll(".bar")) row.classList.toggle("lit", Number(row.dataset.byte) === byte);
}

function go(number) {
  letters[place].classList.remove("here");
  place = Math.min(Math.max(number, 0), data.bytes.length - 1);
  letters[place].classList.add("here");
  const line = by("line");
  line.scrollTop = letters[place].offsetTop - line.clientHeight / 2;
  history.replaceState(null, "", `#${place + 1}`);
  const byte = data.bytes[place];
  by("place").value = place;
  by("told").textContent = `byte ${place + 1} of ${data.bytes.length}: ${label(byte)} (${byte})`;
  by("bars").replaceChildren(...data.compressors.map((compressor) => {
    const { bits, rank, likely } = compressor.steps[place];
    const card = element("article", "card");
    card.append(element("h2", "", compressor.name), element("p", "headline", `${bits.toFixed(2)} bits, rank ${rank}`));
    card.append(...likely.map(([one, share]) => bar(one, share, one === byte)));
    if (!likely.some(([one]) => one === byte)) card.append(bar(byte, 2 ** -bits, true));
    return card;
  }));
}

by("place").max = data.bytes.length - 1;
by("place").addEventListener("input", () => go(Number(by("place").value)));
by("back").addEventListener("click", () => go(place - 1));
by("on").addEventListener("click", () => go(place + 1));
// Home and End scroll the page, unless the text has the focus.
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const inside = event.target === by("line") ? { Home: 0, End: data.bytes.length - 1 } : {};
  const to = { ArrowLeft: place - 1, ArrowRight: place + 1, ...inside }[event.key];
  if (to !== undefined) { event.preventDefault(); go(to); }
  else if (event.key === "d" && memory.get("keys") !== "off") toggleTheme();
});
addEventListener("hashchange", () => go(Number(location.hash.slice(1)) - 1 || 0));
go(Number(location.hash.slice(1)) - 1 || 0);
