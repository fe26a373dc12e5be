"use strict";
// The first screen, the filters, the keys, and the address, which holds them: #ROW/COLUMN?medium=...&sort=...
const controls = by("controls");
const FILTERS = ["medium", "rule", "find", "sort"];
const rows = [...document.querySelectorAll("section.row")];
const shown = () => rows.filter((row) => !row.hidden).flatMap((row) => [...row.querySelectorAll("article:not([hidden])")]);
const letters = JSON.parse(by("letters").textContent);

// An address that was cut or mistyped is no error.
function plain(text) {
  try { return decodeURIComponent(text); } catch { return ""; }
}

function address() {
  const [place, query] = plain(location.hash.slice(1)).split(/\?(.*)/s);
  return { place, filters: new URLSearchParams(query || "") };
}

function filterWords() {
  const words = new URLSearchParams();
  for (const name of FILTERS) if (by(name).value) words.set(name, by(name).value);
  return words.size ? `?${words}` : "";
}

function setAddress(place) {
  history.replaceState(null, "", `#${place}${filterWords()}`);
}

function filter() {
  const find = by("find").value.trim().toLowerCase();
  for (const row of rows) {
    row.hidden = by("medium").value !== "" && row.dataset.medium !== by("medium").value;
    for (const article of row.querySelectorAll("article")) {
      const { rule, name } = article.dataset;
      // The original stays beside whatever is left.
      article.hidden = rule !== "original"
        && ((by("rule").value !== "" && !rule.split(" ").includes(by("rule").value)) || !name.toLowerCase().includes(find));
    }
  }
  by("count").textContent = filterWords() ? `${shown().filter((one) => one.dataset.rule !== "original").length} cards` : "";
}

function sort() {
  const key = by("sort").value;
  for (const cells of document.querySelectorAll(".cells")) {
    const value = (article) => {
      if (article.dataset.rule === "original") return -Infinity;
      const text = key ? article.dataset[key] : article.dataset.order;
      return text === undefined || text === "" || text === "None" ? Infinity : Number(text);
    };
    cells.append(...[...cells.querySelectorAll("article")].sort((a, b) => value(a) - value(b)
      || a.dataset.order - b.dataset.order));
  }
}

controls.addEventListener("input", () => { filter(); sort(); setAddress(address().place); });
controls.addEventListener("submit", (event) => event.preventDefault());

function obey() {
  const { place, filters } = address();
  if (filters.size || filterWords()) {
    for (const name of FILTERS) if (filters.has(name)) by(name).value = filters.get(name);
    filter();
    sort();
  }
  const target = place ? document.getElementById(place) : null;
  if (target) (target.closest("section") || target).hidden = false;
  if (target?.matches("article")) openCloser(target);
  else {
    closeCloser();
    if (filters.size) target?.scrollIntoView();
  }
}
addEventListener("hashchange", obey);
addEventListener("DOMContentLoaded", obey);
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    // Filters stay in the address.
    event.preventDefault();
    const wanted = `${link.getAttribute("href")}${filterWords()}`;
    const place = link.getAttribute("href").slice(1);
    if (plain(location.hash) === wanted) obey();
    else location.hash = wanted;
    if (!document.getElementById(place)?.matches("article")) document.getElementById(place)?.scrollIntoView();
  });
}

// The continuations of the first screen are written at the same time, letter by letter, in under five seconds.
const SPEED = 22; // milliseconds a letter. Chosen: it can be read along
let writing = 0;
function write() {
  clearInterval(writing);
  const voices = [...document.querySelectorAll("[data-letters] .text")].map((box) => {
    if (!box.dataset.split) {
      box.dataset.split = "yes";
      for (const run of [...box.childNodes]) {
        const parts = [...run.textContent].map((letter) => {
          const part = document.createElement("span");
          part.className = run.className || "";
          part.textContent = letter;
          return part;
        });
        run.replaceWith(...parts);
      }
    }
    return [...box.children];
  });
  by("again").dataset.writing = "yes";
  by("again").textContent = "Show it all";
  const most = Math.min(Math.max(...voices.map((one) => one.length), 0), 4800 / SPEED);
  for (const voice of voices) for (const letter of voice) letter.classList.add("unsaid");
  const since = performance.now();
  writing = setInterval(() => {
    const said = (performance.now() - since) / SPEED;
    const over = said >= most;
    for (const voice of voices) {
      for (const [place, letter] of voice.entries()) if (over || place < said) letter.classList.remove("unsaid");
    }
    if (over) stop();
  }, SPEED);
}
function stop() {
  clearInterval(writing);
  for (const letter of document.querySelectorAll(".unsaid")) letter.classList.remove("unsaid");
  by("again").dataset.writing = "";
  by("again").textContent = "Watch them write again";
}
by("again")?.addEventListener("click", () => (by("again").dataset.writing === "yes" ? stop() : write()));
if (by("again") && !location.hash && !matchMedia("(prefers-reduced-motion: reduce)").matches) write();

// Keys. Those that scroll a page are left to it.
by("keys").checked = memory.get("keys") !== "off";
by("keys").addEventListener("change", () => memory.set("keys", by("keys").checked ? "on" : "off"));

// Moving up or down goes to the nearest article of the next row.
function neighbour(article, key) {
  const all = shown();
  const at = all.indexOf(article);
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  const here = article.getBoundingClientRect();
  const down = key === "j";
  const rest = (down ? all.slice(at + 1) : all.slice(0, at).reverse())
    .filter((other) => down ? other.getBoundingClientRect().top > here.top : other.getBoundingClientRect().top < here.top);
  const row = rest.filter((other) => other.getBoundingClientRect().top === rest[0].getBoundingClientRect().top);
  const away = (other) => Math.abs(other.getBoundingClientRect().left - here.left);
  return row.sort((a, b) => away(a) - away(b))[0];
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, pre, ul")) return;
  if (by("closer").open || !by("keys").checked) return;
  const article = event.target.closest("article");
  if (event.key === "d") toggleTheme();
  else if (event.key === "/") { event.preventDefault(); by("find").focus(); }
  else if (["ArrowLeft", "ArrowRight", "j", "k"].includes(event.key)) {
    const next = article ? neighbour(article, event.key) : shown()[0];
    if (next) { event.preventDefault(); next.focus(); }
  } else if (event.key === "p" && article) article.querySelector(".player")?.togglePlay();
  else if (event.key === "Enter" && event.target === article) article.querySelector(".open")?.click();
});

// A gallery that is being built tells how far it is, in a script that its builder writes.
function progress(done, total, stopped = false) {
  const box = by("building");
  if (!box) return;
  box.firstChild.textContent = stopped ? "The build was stopped, and the same command goes on with it: " : "This gallery is being built: ";
  box.querySelector("b").textContent = done;
  if (done < total) setTimeout(ask, 3000);
}
function ask() {
  const script = document.createElement("script");
  script.src = `progress.js?${Date.now()}`;
  script.addEventListener("load", () => script.remove());
  document.body.append(script);
}
if (by("building")) {
  by("reload").addEventListener("click", () => location.reload());
  ask();
}
