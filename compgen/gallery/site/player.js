"use strict";
// Players: a spectrogram is the place to seek in, and playing begins where the given part ends.
const players = [];

// Play; that something else stops it before it begins is no error.
function begin(audio) {
  audio.play().catch((error) => { if (error.name !== "AbortError") throw error; });
}

function mountPlayer(box) {
  const audio = box.querySelector("audio"), range = box.querySelector("input"), button = box.querySelector(".go");
  const head = box.querySelector(".head"), told = box.querySelector("output"), plot = box.querySelector(".plot");
  const start = Number(box.dataset.start), duration = Number(box.dataset.duration);
  let at = start;
  const show = (seconds) => {
    at = Math.min(Math.max(seconds, 0), duration);
    head.style.left = `${100 * at / duration}%`;
    range.value = at;
    told.textContent = `${at.toFixed(2)} s`;
  };
  const go = (seconds) => { show(seconds); audio.currentTime = at; };
  const follow = () => { show(audio.currentTime); if (!audio.paused) requestAnimationFrame(follow); };
  const tell = () => {
    button.textContent = audio.paused ? "▶" : "❚❚";
    button.setAttribute("aria-label", button.getAttribute("aria-label").replace(/^\w+/, audio.paused ? "play" : "pause"));
  };
  const toggle = () => {
    if (!audio.paused) { audio.pause(); return; }
    if (at >= duration - 0.02) show(start);
    audio.currentTime = at;
    begin(audio);
  };
  audio.controls = false;
  box.classList.add("live");
  button.addEventListener("click", toggle);
  range.addEventListener("input", () => go(Number(range.value)));
  plot.addEventListener("click", (event) => {
    const { left, width } = plot.getBoundingClientRect();
    go((event.clientX - left) / width * duration);
  });
  audio.addEventListener("play", () => { tell(); follow(); });
  audio.addEventListener("pause", tell);
  audio.addEventListener("ended", () => show(start));
  show(start);
  box.togglePlay = toggle;
  players.push(box);
}

// One sound at a time.
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  if (event.target !== heard) heard.pause();
}, true);

// The buttons of portraits share one sound, which is in no page.
const heard = new Audio();
let hearing = null;
heard.addEventListener("play", () => { for (const other of document.querySelectorAll("audio")) other.pause(); });
const quiet = () => { hearing?.setAttribute("aria-pressed", "false"); hearing = null; };
heard.addEventListener("pause", quiet);
heard.addEventListener("ended", quiet);
for (const button of document.querySelectorAll(".hear")) {
  button.addEventListener("click", () => {
    if (hearing === button) { heard.pause(); return; }
    quiet();
    if (!heard.src.endsWith(button.dataset.audio)) heard.src = button.dataset.audio;
    heard.currentTime = Number(button.dataset.start);
    hearing = button;
    button.setAttribute("aria-pressed", "true");
    begin(heard);
  });
}
for (const box of document.querySelectorAll(".player")) mountPlayer(box);
