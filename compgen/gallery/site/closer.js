"use strict";
// A closer look at one cell. Its address is that of the cell: #ROW/COLUMN.
const closer = by("closer");

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function closeCloser() {
  if (closer.open) closer.close();
}

closer.addEventListener("close", () => {
  for (const audio of closer.querySelectorAll("audio")) audio.pause();
  const { place } = address();
  if (place.includes("/")) setAddress(place.split("/")[0]);
  document.getElementById(closer.dataset.of)?.focus({ preventScroll: false });
});
closer.addEventListener("click", (event) => { if (event.target === closer) closer.close(); });
closer.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    closer.querySelector(event.key === "ArrowLeft" ? ".before" : ".after").click();
    event.preventDefault();
  }
});

// While a page loads, the browser goes to the place in its address, and takes the focus away from what is open.
addEventListener("load", () => requestAnimationFrame(() => {
  if (closer.open && document.activeElement === document.body) closer.querySelector(".shut").focus();
}));

function openCloser(article) {
  const all = shown();
  const at = all.indexOf(article);
  const to = (step) => () => { location.hash = `#${all[(at + step + all.length) % all.length].id}${filterWords()}`; };
  closer.dataset.of = article.id;
  const copy = make("button", { type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(location.href); copy.textContent = "copied"; } catch { copy.textContent = "the address is above"; }
  } }, "copy link");
  const title = make("h2", { id: "closer-title" }, article.getAttribute("aria-label"));
  const header = make("header", {}, title,
    make("button", { type: "button", class: "round before", "aria-label": "the one before", onclick: to(-1) }, "←"),
    make("button", { type: "button", class: "round after", "aria-label": "the next one", onclick: to(1) }, "→"),
    make("button", { type: "button", class: "round shut", "aria-label": "close", onclick: () => closer.close() }, "✕"));
  const side = make("div", { class: "side" }, article.querySelector(".headline").cloneNode(true),
    article.querySelector("dl").cloneNode(true),
    make("p", { class: "links" }, make("a", { class: "button", href: article.querySelector("[download]").getAttribute("href"), download: true }, "download"), copy));
  const bench = { image: benchOfPicture, audio: benchOfSound, text: benchOfText }[article.dataset.kind](article);
  closer.replaceChildren(header, make("div", { class: "body" }, bench, side));
  for (const box of closer.querySelectorAll(".player")) mountPlayer(box);
  if (!closer.open) closer.showModal();
  closer.scrollTop = 0;
  closer.querySelector(".shut").focus();
  closer.dispatchEvent(new Event("opened"));
}

// A picture at a whole-number zoom. Before the handle stands what really was, after it what was made: at first the
// handle stands where the given part ends.
function benchOfPicture(article) {
  const img = article.querySelector("img"), row = article.closest("section");
  const original = row.querySelector("[data-rule=original] img");
  const sideways = article.hasAttribute("data-rows");
  const cut = parseFloat(article.querySelector(".picture").style.getPropertyValue("--cut"));
  const made = make("img", { src: img.getAttribute("src"), alt: img.alt });
  const before = make("img", { src: original.getAttribute("src"), alt: "" });
  const handle = make("i", { class: "handle", "aria-hidden": "true" });
  const both = make("div", { class: "both" }, made, before, handle);
  const bench = make("div", { class: "bench", tabindex: "0", role: "region", "aria-label": "picture" }, both);
  const zoomed = make("output", { class: "zoomed" });
  const range = make("input", { type: "range", min: 0, max: 100, step: 0.1, value: cut, id: "handle", oninput: () => slide(Number(range.value)) });
  const room = () => innerHeight * 0.6;
  let zoom = 1;
  const slide = (share) => {
    range.value = share;
    before.style.clipPath = sideways ? `inset(0 ${100 - share}% 0 0)` : `inset(0 0 ${100 - share}% 0)`;
    Object.assign(handle.style, sideways
      ? { left: `calc(${share}% - 1px)`, top: "-8px", bottom: "-8px", width: "2px" }
      : { top: `calc(${share}% - 1px)`, left: "-8px", right: "-8px", height: "2px" });
  };
  const resize = (wanted) => {
    const { naturalWidth: width, naturalHeight: height } = made;
    const most = Math.max(Math.floor(4096 / Math.max(width, height)), 1);
    zoom = Math.min(Math.max(wanted, 1), most);
    // Rows that stand alone are stretched, so that each can be seen.
    const up = sideways ? Math.max(zoom, Math.floor(room() / height)) : zoom;
    for (const one of [made, before]) Object.assign(one.style, { width: `${width * zoom}px`, height: `${height * up}px` });
    zoomed.textContent = up === zoom ? `${zoom} ×` : `${zoom} × wide, ${up} × high`;
  };
  const fit = () => resize(Math.floor(Math.min((bench.clientWidth - 40) / made.naturalWidth, room() / made.naturalHeight)));
  const drag = (event) => {
    if (!event.buttons) return;
    const box = both.getBoundingClientRect();
    slide(Math.min(Math.max(100 * (sideways ? (event.clientX - box.left) / box.width : (event.clientY - box.top) / box.height), 0), 100));
  };
  both.addEventListener("pointerdown", (event) => { event.preventDefault(); both.setPointerCapture(event.pointerId); drag(event); });
  both.addEventListener("pointermove", drag);
  closer.addEventListener("opened", () => made.decode().then(fit, () => {}), { once: true });
  slide(cut);
  const compare = article.dataset.rule !== "original";
  if (!compare) { before.remove(); handle.remove(); }
  return make("div", {}, bench, make("div", { class: "tools" },
    make("button", { type: "button", class: "round", "aria-label": "smaller", onclick: () => resize(zoom - 1) }, "−"), zoomed,
    make("button", { type: "button", class: "round", "aria-label": "larger", onclick: () => resize(zoom + 1) }, "+"),
    ...(compare ? [make("label", { for: "handle" }, sideways ? "left of the handle: what really was" : "above the handle: what really was"), range,
      make("button", { type: "button", onclick: () => slide(cut) }, "to where the given part ends")] : [])));
}

function benchOfSound(article) {
  const player = article.querySelector(".player").cloneNode(true);
  player.classList.remove("live");
  return make("div", {}, player);
}

// A text, and the bits of each of its letters.
function benchOfText(article) {
  const found = letters[article.id];
  const text = make("div", { class: "text" });
  const level = (bits) => [1, 2, 4, 6, 8, 10].filter((edge) => bits >= edge).length;
  const known = article.dataset.rule !== "original";
  const parts = found.map(([letter, bits], place) => make("span", { class: known ? `s${level(bits)}` : "", onclick: () => go(place) }, letter));
  const given = article.closest("section").querySelector("pre.given").textContent;
  text.append(make("span", { class: "known" }, `…${given.slice(-160).replace(/^…/, "")}`), ...parts);
  if (!known) return make("div", {}, text);
  const told = make("output");
  const range = make("input", { type: "range", min: 0, max: Math.max(found.length - 1, 0), value: 0, "aria-label": "letter", oninput: () => go(Number(range.value)) });
  const go = (place) => {
    range.value = place;
    text.querySelector(".here")?.classList.remove("here");
    parts[place]?.classList.add("here");
    const [letter, bits] = found[place] || ["", 0];
    told.textContent = `“${letter === "\n" ? "↵" : letter}” cost ${bits.toFixed(2)} bits: it was expected at ${(100 * 2 ** -bits).toPrecision(2)}%`;
  };
  go(0);
  return make("div", {}, text, make("div", { class: "tools" }, range, told));
}
