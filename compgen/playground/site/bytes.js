// Bytes as something to see. Whatever comes from the server or the address becomes text, never markup.

export const by = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const NAMES = { 32: "space", 10: "new line", 9: "tab" };

// A byte as a short label.
export function label(byte) {
  if (byte in NAMES) return NAMES[byte];
  return byte > 32 && byte < 127 ? String.fromCharCode(byte) : `x${byte.toString(16).padStart(2, "0")}`;
}

// A character as it is shown: control characters as their pictures, marks that change the direction as a box.
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, "\ufffd");
}

// The characters of UTF-8 bytes: [text, position of the first byte, number of bytes]. Other bytes stand alone.
export function characters(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true }), found = [];
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i];
    let size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    let text = "\ufffd";
    try { text = decoder.decode(bytes.subarray(i, i + size)); } catch { size = 1; }
    found.push([visible(text), i, size]);
    i += size;
  }
  return found;
}

const LEVELS = [1, 2, 4, 6, 8, 10];

// The class of a surprisal in bits, as compgen.display.surprisal_level has it.
export const level = (bits) => `s${LEVELS.filter((least) => bits >= least).length}`;

// Fill `place` with bytes coloured by their surprisals, if there are any.
export function coloured(place, bytes, bits) {
  place.replaceChildren(...characters(bytes).map(([text, at, size]) => {
    if (!bits) return text;
    const cost = bits.slice(at, at + size).reduce((sum, one) => sum + one, 0);
    return element("span", { className: level(cost), title: `${cost.toFixed(2)} bits` }, text);
  }));
}

export const percent = (share) => {
  const value = 100 * share;
  return value >= 0.1 || value === 0 ? `${value.toFixed(1)}%` : "<0.1%";
};

export const joined = (...parts) => {
  const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { made.set(part, at); at += part.length; }
  return made;
};
