// The page: what is given, the columns, the modes, and the state in the address.
import { Column, title } from "./bars.js";
import { by, element, joined } from "./bytes.js";
import { Game } from "./game.js";
import * as link from "./link.js";
import * as media from "./media.js";
import { Reading } from "./reading.js";

const { offers, missing, limits, columns: COLUMNS, diary } = JSON.parse(by("told").textContent);
const MODES = ["text", "picture", "sound", "game"];
const EXAMPLES = {
  "a diary": diary,
  "a woodchuck": "How much wood would a woodchuck chuck if a woodchuck could chuck wood? A woodchuck would chuck as much wood as a woodchuck could ch",
  "the sea": "The sea was grey in the morning and grey at noon. In the evening the sea was grey, and the sky was grey, and the sk",
  "a list": "name,born\nAda,1815\nClaude,1916\nAndrei,1903\nRay,1926\nDavid,1925\n",
  "a program": "for i in range(10):\n    for j in range(10):\n        print(i, j)\nfor k in range(10):\n    for ",
  "a code of life": "ACGTACGGTACGTACGGTAACGTACGGTACGTACGGTAACGTACGG",
  "nothing": "",
};
const WAIT = 250; // milliseconds after the last key until the text is read again
const BY = Object.fromEntries(offers.map((offer) => [offer.name, offer]));
const encoder = new TextEncoder();

const state = {
  mode: "text",
  pending: [], // bytes of a character that is not finished
  picture: { bytes: new Uint8Array(0), left: 0 },
  sound: { bytes: new Uint8Array(0) },
  columns: { text: [], picture: [], sound: [] },
  abort: null,
};

const kind = () => (state.mode === "game" ? "text" : state.mode);

function bytesOf(mode) {
  return mode === "text" ? joined(encoder.encode(by("text").value), Uint8Array.from(state.pending)) : state[mode].bytes;
}

function context() {
  const mode = kind(), bytes = bytesOf(mode);
  return { kind: mode, bytes: bytes.subarray(Math.max(0, bytes.length - limits.context)) };
}

// Say what went wrong, until the page changes.
function trouble(message) {
  by("trouble").textContent = message;
  by("trouble").hidden = !message;
}

const host = {
  context, play: media.play,
  query: (spec) => ({ spec, ...media.layout(kind()) }),
  draw: () => ({ temperature: by("temperature").value, length: by("length").value, seed: by("seed").value }),
  reader: () => by("reader").value,
  take,
  drop(column) {
    columns().splice(columns().indexOf(column), 1);
    showColumns();
    changed();
  },
};
const reading = new Reading(host);
const game = new Game(limits, () => { trouble(""); save(); }, (message) => { if (state.mode === "game") trouble(message); });
const columns = () => state.columns[kind()];

// Append bytes to what is given.
function take(bytes) {
  if (kind() === "text") {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    for (const byte of bytes) {
      state.pending.push(byte);
      try {
        by("text").value += decoder.decode(Uint8Array.from(state.pending));
        state.pending = [];
      } catch { if (state.pending.length > 3) { by("text").value += "\ufffd"; state.pending = []; } }
    }
  } else state[kind()].bytes = joined(state[kind()].bytes, bytes);
  changed();
}

let later;

// The given part has changed: ask everything again.
function changed() {
  const mode = kind(), { bytes } = context();
  trouble("");
  if (document.activeElement !== by("text")) by("text").scrollTop = by("text").scrollHeight;
  if (mode === "text") {
    const all = bytesOf("text").length, more = state.pending.length;
    by("size").textContent = `${all.toLocaleString("en")} bytes${all > limits.context ? `, of which the last ${limits.context.toLocaleString("en")} are known` : ""}${more ? `; ${more === 1 ? "one of them begins" : `${more} of them begin`} a character` : ""}`;
  } else media.paint(by(`shown-${mode}`), { kind: mode, bytes });
  for (const column of columns()) column.ask();
  clearTimeout(later);
  later = setTimeout(() => { if (mode === "text") reading.read(); save(); }, WAIT);
}

function showColumns() {
  by("columns").replaceChildren(...columns().map((column) => column.card));
  by("refused").textContent = "";
  const before = by("reader").value, specs = columns().map((column) => column.spec);
  by("reader").replaceChildren(...specs.map((spec) => element("option", { value: spec }, title(spec))));
  by("reader").value = specs.includes(before) ? before : specs[0] ?? "";
}

function addColumn(spec, mode = kind()) {
  const found = state.columns[mode].some((column) => column.spec === spec);
  if (!found) state.columns[mode].push(new Column(spec, host));
  return !found;
}

function show(mode) {
  state.mode = mode;
  for (const one of MODES) {
    const tab = by(`tab-${one}`);
    tab.setAttribute("aria-selected", String(one === mode));
    tab.tabIndex = one === mode ? 0 : -1;
  }
  by("play").hidden = mode === "game";
  by("play").setAttribute("aria-labelledby", `tab-${mode}`);
  by("game").hidden = mode !== "game";
  if (mode === "game") { game.show(); return; }
  for (const part of document.querySelectorAll(".given-part")) part.hidden = part.dataset.for !== mode;
  by("reading").hidden = mode !== "text";
  by("length").value = mode === "text" ? 200 : mode === "picture" ? Math.min(state.picture.left || 24 * media.WIDTH, limits.length) : 4000;
  showColumns();
  changed();
}

async function save() {
  const entries = { mode: state.mode, with: columns().map((column) => column.spec).join(","), temperature: by("temperature").value, seed: by("seed").value };
  if (state.mode === "game") {
    delete entries.with;
    Object.assign(entries, { passage: game.passage, ranks: game.ranks.join(".") });
  } else entries[state.mode === "text" ? "text" : "bytes"] = await link.packed(bytesOf(state.mode));
  state.fits = link.write(entries);
}

async function load() {
  const told = link.read(), mode = MODES.includes(told.get("mode")) ? told.get("mode") : "text";
  for (const one of ["text", "picture", "sound"]) {
    const specs = one === mode && told.get("with") ? told.get("with").split(",").slice(0, 8) : COLUMNS[one].filter((spec) => spec.split(":")[0] in BY);
    state.columns[one] = [];
    for (const spec of specs) addColumn(spec, one);
  }
  for (const key of ["temperature", "seed"]) if (/^[0-9.]{1,12}$/.test(told.get(key) ?? "")) by(key).value = told.get(key);
  by("temperature-told").textContent = by("temperature").value;
  const packed = told.get("text") ?? told.get("bytes");
  let damaged = false;
  try {
    if (packed) {
      const bytes = await link.unpacked(packed, limits.context);
      if (mode === "text") by("text").value = new TextDecoder().decode(bytes); else if (mode !== "game") state[mode].bytes = bytes;
    } else if (mode === "text" && packed === null) by("text").value = diary;
  } catch { damaged = true; }
  if (!state.picture.bytes.length) state.picture = rings();
  if (!state.sound.bytes.length) state.sound = { bytes: media.plucked(lcg(7)) };
  if (mode === "game") {
    const ranks = (told.get("ranks") ?? "").split(".").filter((rank) => /^[0-9]{1,2}$/.test(rank)).map(Number).slice(0, limits.guessed);
    game.ranks = ranks;
    game.passage = Number(/^[0-9]{1,3}$/.test(told.get("passage") ?? "") ? told.get("passage") : 0);
  }
  show(mode);
  if (damaged) trouble("The address holds a damaged text, so the page begins without it.");
}

// A small generator of random numbers, so that examples are the same every time.
function lcg(seed) {
  let now = seed;
  return () => { now = (1103515245 * now + 12345) % 2 ** 31; return now / 2 ** 31; };
}

// A picture to begin with: two rows of rings.
function rings() {
  const ring = (x, y) => Math.hypot(x % 16 - 7.5, y % 16 - 7.5);
  const bytes = Uint8Array.from({ length: 32 * media.WIDTH }, (_, i) => {
    const x = i % media.WIDTH, y = Math.floor(i / media.WIDTH), away = ring(x, y);
    return away < 3.5 ? 230 : away < 7 ? 40 : 150;
  });
  return { bytes, left: 32 * media.WIDTH };
}

async function draw() {
  if (!["length", "seed"].every((id) => by(id).reportValidity())) return;
  state.abort?.abort();
  const abort = state.abort = new AbortController();
  by("stop").disabled = false;
  await Promise.all(columns().map((column) => column.draw(abort.signal)));
  if (state.abort === abort) { state.abort = null; by("stop").disabled = true; }
}

function given(mode, file) {
  const work = mode === "picture" ? media.picture(file) : file.arrayBuffer().then(media.sound).then((bytes) => ({ bytes }));
  work.then((found) => { state[mode] = found; show(mode); },
    () => trouble(`This browser cannot read that ${mode}; drop another file.`));
}

function chooser(form) {
  const { name, rule, with: other } = form.elements;
  name.replaceChildren(...offers.map((offer) => element("option", { value: offer.name, title: offer.about }, offer.name)));
  other.replaceChildren(element("option", { value: "" }, "nothing"), ...offers.map((offer) => element("option", {}, offer.name)));
  const rules = () => rule.replaceChildren(...(BY[name.value].rules.length ? BY[name.value].rules : ["its own"]).map((one) => element("option", {}, one)));
  name.addEventListener("change", rules);
  rules();
  form.addEventListener("change", () => { by("refused").textContent = ""; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const usual = BY[name.value].rules[0] ?? "its own";
    const spec = name.value + (rule.value === usual ? "" : `:rule=${rule.value}`) + (other.value ? `+${other.value}` : "");
    if (!addColumn(spec)) { by("refused").textContent = "There is such a column."; return; }
    showColumns();
    changed();
  });
}

by("text").addEventListener("input", () => { state.pending = []; changed(); });
by("example").replaceChildren(element("option", { value: "" }, "an example …"), ...Object.keys(EXAMPLES).map((name) => element("option", {}, name)));
by("example").addEventListener("change", () => {
  if (by("example").value in EXAMPLES) { by("text").value = EXAMPLES[by("example").value]; state.pending = []; changed(); }
  by("example").value = "";
});
by("reader").addEventListener("change", () => reading.read());
by("continue").addEventListener("click", draw);
by("stop").addEventListener("click", () => state.abort?.abort());
by("temperature").addEventListener("input", () => { by("temperature-told").textContent = by("temperature").value; save(); });
by("seed").addEventListener("input", () => save());
by("reseed").addEventListener("click", () => { by("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % 10000; save(); });
chooser(by("add"));
for (const mode of MODES) by(`tab-${mode}`).addEventListener("click", () => show(mode));
document.querySelector(".modes").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = MODES[(MODES.indexOf(state.mode) + step + MODES.length) % MODES.length];
  show(next);
  by(`tab-${next}`).focus();
});
by("link").addEventListener("click", async () => {
  await save();
  try { await navigator.clipboard.writeText(location.href); } catch { /* the address bar has it, too */ }
  by("link").textContent = state.fits ? "Link copied" : "Copied without the text: it is too long";
  setTimeout(() => { by("link").textContent = "Copy link"; }, 2500);
});
for (const mode of ["picture", "sound"]) {
  const zone = by(`drop-${mode}`), input = by(`file-${mode}`);
  input.addEventListener("change", () => { if (input.files[0]) given(mode, input.files[0]); input.value = ""; });
  zone.querySelector("label").addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key)) { event.preventDefault(); input.click(); } });
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
}
// A file may be dropped anywhere: what it is decides the mode.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  for (const zone of document.querySelectorAll(".drop")) zone.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (!file) return;
  if (file.type.startsWith("image/")) given("picture", file);
  else if (file.type.startsWith("audio/") || file.type.startsWith("video/")) given("sound", file);
  else file.slice(0, limits.context).text().then((text) => { by("text").value = text; state.pending = []; show("text"); });
});
media.tile(by("tile"), document.querySelector(".inks"), by("clear"), (bytes) => { state.picture = { bytes, left: 24 * media.WIDTH }; show("picture"); });
by("record").addEventListener("click", async () => {
  by("record").textContent = "recording …";
  try { state.sound = { bytes: await media.sound(await media.recorded()) }; show("sound"); } catch (error) { trouble(`Nothing was recorded: ${error.message}.`); }
  by("record").textContent = "record a second";
});
by("play-sound").addEventListener("click", () => media.play(state.sound.bytes));
by("pluck").addEventListener("click", () => { state.sound = { bytes: media.plucked(lcg(Date.now() % 100000)) }; show("sound"); });
if (Object.keys(missing).length) by("add").append(element("span", { className: "small soft" }, Object.entries(missing).map(([name, command]) => `${name} needs ${command}`).join("; ")));
addEventListener("hashchange", load);
addEventListener("pagehide", () => state.abort?.abort());
load();
