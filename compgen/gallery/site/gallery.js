"use strict";
// Filters, sorting, keys and theme of a gallery. Nothing is fetched and nothing stored.
const root = document.documentElement;
const by = (id) => document.getElementById(id);

function toggleTheme() {
  const dark = root.classList.contains("dark")
    || (!root.classList.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.toggle("dark", !dark);
  root.classList.toggle("light", dark);
}
by("theme").addEventListener("click", toggleTheme);

const controls = by("controls");
const shown = () => [...document.querySelectorAll("section:not([hidden]) article:not([hidden])")];

function filter() {
  const find = by("find").value.trim().toLowerCase();
  for (const section of document.querySelectorAll("section")) {
    section.hidden = by("medium").value !== "" && section.dataset.medium !== by("medium").value;
    for (const article of section.querySelectorAll("article")) {
      const { rule, name } = article.dataset;
      // The original stays beside whatever is left.
      article.hidden = rule !== "original"
        && ((by("rule").value !== "" && !rule.split(" ").includes(by("rule").value)) || !name.toLowerCase().includes(find));
    }
  }
}

function sort() {
  const key = by("sort").value;
  for (const cells of document.querySelectorAll(".cells")) {
    const value = (article) => {
      if (article.dataset.rule === "original") return -Infinity;
      const text = key ? article.dataset[key] : article.dataset.order;
      return text === "" || text === "None" ? Infinity : Number(text);
    };
    cells.append(...[...cells.querySelectorAll("article")].sort((a, b) => value(a) - value(b)
      || a.dataset.order - b.dataset.order));
  }
}

if (controls) {
  controls.addEventListener("input", () => { filter(); sort(); });
  controls.addEventListener("submit", (event) => event.preventDefault());
}

// Moving up or down goes to the nearest article of the next row.
function neighbour(article, key) {
  const all = shown();
  const at = all.indexOf(article);
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  const here = article.getBoundingClientRect();
  const down = key === "ArrowDown";
  const rest = (down ? all.slice(at + 1) : all.slice(0, at).reverse())
    .filter((other) => down ? other.getBoundingClientRect().top > here.top : other.getBoundingClientRect().top < here.top);
  const row = rest.filter((other) => other.getBoundingClientRect().top === rest[0].getBoundingClientRect().top);
  const away = (other) => Math.abs(other.getBoundingClientRect().left - here.left);
  return row.sort((a, b) => away(a) - away(b))[0];
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, audio")) return;
  const article = event.target.closest("article");
  if (event.key === "d") toggleTheme();
  else if (event.key === "/" && controls) { event.preventDefault(); by("find").focus(); }
  else if (event.key.startsWith("Arrow") && controls) {
    const next = article ? neighbour(article, event.key) : shown()[0];
    if (next) { event.preventDefault(); next.focus(); }
  } else if (event.key === " " && article) {
    const audio = article.querySelector("audio");
    if (audio) { event.preventDefault(); if (audio.paused) audio.play(); else audio.pause(); }
  }
});

document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
}, true);
