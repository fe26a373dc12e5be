"use strict";
// The theme: light, dark, or what the system says until somebody chooses. The choice is remembered.
const root = document.documentElement;
const by = (id) => document.getElementById(id);

// A browser may keep nothing for pages that were opened from files, or for anybody.
const memory = {
  get(key) { try { return localStorage.getItem(`compgen-${key}`); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(`compgen-${key}`, value); } catch { /* the choice ends with the page */ } },
};

const isDark = () => root.classList.contains("dark")
  || (!root.classList.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches);

function setTheme(theme) {
  root.classList.toggle("dark", theme === "dark");
  root.classList.toggle("light", theme === "light");
}

function tellTheme() {
  const button = by("theme");
  if (button) button.setAttribute("aria-pressed", String(isDark()));
}

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  setTheme(theme);
  memory.set("theme", theme);
  tellTheme();
}

if (["light", "dark"].includes(memory.get("theme"))) setTheme(memory.get("theme"));
document.addEventListener("DOMContentLoaded", () => {
  tellTheme();
  by("theme")?.addEventListener("click", toggleTheme);
});
