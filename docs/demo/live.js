"use strict";
// The demo: bars of the next byte under two rules, and a continuation. All of it happens in this page.
const MOST = 8192, SHOWN = 8, SLICE = 12; // bytes of text that count; bars; milliseconds of work before the page may breathe
const NAMES = { 32: "space", 10: "new line", 9: "tab" };
const label = (byte) => NAMES[byte] ?? (byte > 32 && byte < 127 ? String.fromCharCode(byte) : `x${byte.toString(16).padStart(2, "0")}`);
const breath = () => new Promise((resolve) => { setTimeout(resolve); });
const bytesOf = () => new TextEncoder().encode(by("text").value).slice(-MOST);

function show(id, shares) {
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a] || a - b).slice(0, SHOWN);
  by(id).replaceChildren(...order.map((byte) => {
    const row = document.createElement("button");
    row.type = "button";
    row.className = "bar";
    for (const [name, text] of [["label", label(byte)], ["fill", ""], ["share", shares[byte] < 0.001 ? "<0.1%" : `${(100 * shares[byte]).toFixed(1)}%`]]) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text;
      row.append(part);
    }
    row.children[1].style.width = `${100 * shares[byte]}%`;
    row.disabled = byte > 127;
    row.addEventListener("click", () => { by("text").value += String.fromCharCode(byte); changed(); });
    return row;
  }));
  by(`${id}-told`).textContent = `${shares.reduce((sum, one) => sum - (one ? one * Math.log2(one) : 0), 0).toFixed(2)} bits expected of the next byte`;
}

let turn = 0;

async function changed() {
  const mine = ++turn, context = bytesOf();
  show("law", deflateLaw.law(context));
  by("step-told").textContent = "compressing 256 times …";
  const longer = new Uint8Array(context.length + 1), added = [];
  longer.set(context);
  for (let byte = 0, begin = performance.now(); byte < 256; byte++) {
    longer[context.length] = byte;
    added.push(deflateLaw.codeLength(longer));
    if (performance.now() - begin > SLICE) {
      await breath();
      if (mine !== turn) return;
      begin = performance.now();
    }
  }
  show("step", deflateLaw.oneStep(added));
}

async function draw() {
  const mine = ++turn, made = [];
  by("made").textContent = "";
  let context = bytesOf();
  for (let i = 0; i < 200 && mine === turn; i++) {
    const shares = deflateLaw.law(context);
    let point = Math.random(), byte = 0;
    while (byte < 255 && (point -= shares[byte]) >= 0) byte++;
    made.push(byte);
    context = Uint8Array.from([...context, byte]).slice(-MOST);
    by("made").textContent = new TextDecoder().decode(Uint8Array.from(made)).replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));
    await breath();
  }
}

by("text").value = "How much wood would a woodchuck chuck if a woodchuck could chuck wood? "
  + "He would chuck, he would, as much as he could, and chuck as much wood as a woodchuck would if a woodchuck could ch";
by("text").addEventListener("input", changed);
by("draw").addEventListener("click", draw);
changed();
