"use strict";
// Distances: the places where two columns disagree most. The address is #ROW/COLUMN/COLUMN.
const compared = JSON.parse(by("compared").textContent);

function node(name, cls, ...children) {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  made.append(...children);
  return made;
}

function bars(title, likely) {
  const box = node("div", "", node("h4", "", title));
  for (const [label, share, came] of likely) {
    const row = node("div", came ? "bar real" : "bar", node("span", "", label), node("b", "fill"), node("span", "share", `${(100 * share).toFixed(1)}%`));
    row.children[1].style.width = `${100 * share}%`;
    if (came) row.children[0].append(node("span", "visually-hidden", " (came)"));
    box.append(row);
  }
  return box;
}

function show(row, one, other) {
  const section = by(row.slug);
  for (const link of document.querySelectorAll(".matrix a")) {
    const [, a, b] = link.getAttribute("href").slice(1).split("/");
    const mine = section.contains(link) && a === compared.columns[one] && b === compared.columns[other];
    if (mine) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
  const a = row.columns.indexOf(one), b = row.columns.indexOf(other);
  const head = node("h3", "", `${compared.names[one]} and ${compared.names[other]}: ${row.distances[a][b].toFixed(2)} bits apart`);
  const places = row.places[`${one}-${other}`].map((place) => {
    const text = row.kind === "text"
      ? node("p", "text", `…${place.before}`, node("b", "", place.came))
      : node("p", "", `${place.before[0].toUpperCase()}${place.before.slice(1)}, where ${place.came} came`);
    return node("div", "place", text, node("div", "twice", bars(compared.names[one], place.bars[0]), bars(compared.names[other], place.bars[1])),
      node("p", "small soft", `${place.bits.toFixed(2)} bits apart here`));
  });
  section.querySelector(".places").replaceChildren(head, node("p", "small soft", "Where they disagree most. The byte that came is outlined."), ...places);
}

function obey() {
  let place = "";
  try { place = decodeURIComponent(location.hash.slice(1)); } catch { /* an address that was cut is no error */ }
  const [slug, one, other] = place.split("/");
  const row = compared.rows.find((entry) => entry.slug === slug);
  const pair = [one, other].map((name) => compared.columns.indexOf(name)).sort((a, b) => a - b);
  if (row && row.places[pair.join("-")]) {
    show(row, ...pair);
    const box = by(slug).querySelector(".places").getBoundingClientRect();
    if (box.top > innerHeight - 120 || box.top < 0) by(slug).querySelector(".places").scrollIntoView({ block: "start" });
  }
}
// Every row begins with the two that are furthest apart, but for what knows nothing.
for (const row of compared.rows) {
  let best = null;
  for (const [i, one] of row.columns.entries()) {
    for (const [j, other] of row.columns.entries()) {
      const knows = ![one, other].some((place) => compared.names[place] === "null");
      if (i < j && (!best || knows && (!best.knows || row.distances[i][j] > best.far))) best = { one, other, knows, far: row.distances[i][j] };
    }
  }
  if (best) show(row, best.one, best.other);
}
addEventListener("hashchange", obey);
obey();
document.addEventListener("keydown", (event) => {
  if (event.key === "d" && memory.get("keys") !== "off" && !(event.ctrlKey || event.metaKey || event.altKey)) toggleTheme();
});
