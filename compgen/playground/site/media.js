// Pictures and sounds as bytes: decoded, drawn and recorded by the browser. The server sees bytes alone.
import { element, joined } from "./bytes.js";

export const WIDTH = 48, RATE = 8000; // pixels; samples a second
const TALLEST = 128; // pixels
const TILE = 12, INKS = [16, 96, 176, 240];

// What models are told of the bytes.
export const layout = (kind) => kind === "picture" ? { stride: WIDTH, channels: 1 } : kind === "sound" ? { channels: 1 } : {};

// Show a given part and what was made after it.
export function paint(canvas, context, made = new Uint8Array(0)) {
  const all = joined(context.bytes, made);
  if (context.kind === "picture") paintRows(canvas, all, context.bytes.length);
  else paintWave(canvas, all, context.bytes.length);
}

function paintRows(canvas, bytes, given) {
  const height = Math.max(Math.ceil(bytes.length / WIDTH), 1);
  if (canvas.height !== height || canvas.width !== WIDTH) {
    canvas.width = WIDTH;
    canvas.height = height;
    canvas.style.width = `${4 * WIDTH}px`;
    canvas.style.height = `${4 * height}px`;
  }
  const pen = canvas.getContext("2d"), image = pen.createImageData(WIDTH, height);
  bytes.forEach((byte, i) => image.data.set([byte, byte, byte, 255], 4 * i));
  pen.putImageData(image, 0, 0);
  canvas.title = bytes.length > given ? `${given / WIDTH} rows are given` : "";
}

function paintWave(canvas, bytes, given) {
  canvas.width = 640;
  canvas.height = 96;
  const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const [soft, accent] = ["--soft", "--accent"].map((name) => resolved(style, name));
  for (let x = 0; x < canvas.width; x++) {
    const from = Math.floor(bytes.length * x / canvas.width), to = Math.max(Math.floor(bytes.length * (x + 1) / canvas.width), from + 1);
    const part = bytes.subarray(from, to);
    if (!part.length) continue;
    const low = Math.min(...part), high = Math.max(...part);
    pen.fillStyle = from < given ? soft : accent;
    pen.fillRect(x, 95 * (1 - high / 255), 1, Math.max(95 * (high - low) / 255, 1));
  }
}

// A colour of the style sheet as a canvas takes it: light-dark() is for style sheets alone.
function resolved(style, name) {
  const probe = element("span", { hidden: true });
  probe.style.color = style.getPropertyValue(name);
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// The upper half of a picture file, gray, and the bytes that are left to make.
export async function picture(file) {
  const bitmap = await createImageBitmap(file);
  const height = Math.min(Math.max(Math.round(bitmap.height * WIDTH / bitmap.width), 2), TALLEST);
  const canvas = element("canvas", { width: WIDTH, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white";
  pen.fillRect(0, 0, WIDTH, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, WIDTH, height);
  const { data } = pen.getImageData(0, 0, WIDTH, height), half = Math.ceil(height / 2) * WIDTH;
  const gray = Uint8Array.from({ length: half }, (_, i) => Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]));
  return { bytes: gray, left: WIDTH * height - half };
}

// The first second of a sound file or a recording.
export async function sound(data) {
  const decoder = new OfflineAudioContext(1, RATE, RATE);
  const buffer = await decoder.decodeAudioData(data);
  const source = decoder.createBufferSource();
  source.buffer = buffer;
  source.connect(decoder.destination);
  source.start();
  const samples = (await decoder.startRendering()).getChannelData(0).subarray(0, Math.min(Math.ceil(buffer.duration * RATE), RATE));
  const most = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-3);
  return Uint8Array.from(samples, (one) => Math.max(0, Math.min(255, Math.round(128 + 110 * one / most))));
}

// A second of the microphone, as a file.
export async function recorded() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  try {
    const recorder = new MediaRecorder(stream), parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    const over = new Promise((resolve) => recorder.addEventListener("stop", resolve));
    recorder.start();
    setTimeout(() => recorder.stop(), 1150);
    await over;
    return await new Blob(parts).arrayBuffer();
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

// A plucked string (Karplus and Strong 1983), a second of it.
export function plucked(random) {
  const period = 36, samples = Array.from({ length: period }, () => random() - 0.5);
  for (let i = period; i < RATE; i++) samples.push(0.4985 * (samples[i - period] + samples[i - period + 1 < i ? i - period + 1 : i - period]));
  return Uint8Array.from(samples, (one) => Math.round(128 + 200 * one));
}

let speaker;

export function play(bytes) {
  speaker ??= new AudioContext();
  const buffer = speaker.createBuffer(1, Math.max(bytes.length, 1), RATE);
  buffer.copyToChannel(Float32Array.from(bytes, (byte) => 0.8 * (byte - 128) / 128), 0);
  const source = speaker.createBufferSource();
  source.buffer = buffer;
  source.connect(speaker.destination);
  source.start();
}

// A tile to draw; calls changed(bytes) with four of them, side by side, after each stroke.
export function tile(canvas, inks, clear, changed) {
  const pixels = new Uint8Array(TILE * TILE).fill(240);
  let ink = INKS[0], pen, last = null; // where the stroke has come to
  const shown = canvas.getContext("2d");
  const show = () => {
    const image = shown.createImageData(TILE, TILE);
    pixels.forEach((byte, i) => image.data.set([byte, byte, byte, 255], 4 * i));
    shown.putImageData(image, 0, 0);
    if (pen !== undefined && document.activeElement === canvas) {
      shown.fillStyle = "rgb(11 98 90 / 60%)";
      shown.fillRect(pen % TILE, Math.floor(pen / TILE), 1, 1);
    }
  };
  const told = () => changed(Uint8Array.from({ length: TILE * WIDTH }, (_, i) => pixels[Math.floor(i / WIDTH) * TILE + i % WIDTH % TILE]));
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((part) => Math.floor(part * TILE));
  };
  // A quick pointer skips pixels, so a line is drawn to where it is now.
  const draw = (event) => {
    const [x, y] = place(event), [fromX, fromY] = last ?? [x, y];
    const steps = Math.max(Math.abs(x - fromX), Math.abs(y - fromY), 1);
    for (let step = 0; step <= steps; step++) {
      const [column, row] = [fromX + (x - fromX) * step / steps, fromY + (y - fromY) * step / steps].map(Math.round);
      if (column >= 0 && column < TILE && row >= 0 && row < TILE) pixels[row * TILE + column] = ink;
    }
    last = [x, y];
    show();
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); draw(event); });
  canvas.addEventListener("pointermove", (event) => { if (last) for (const one of [...event.getCoalescedEvents?.() ?? [], event]) draw(one); });
  canvas.addEventListener("pointerup", () => { if (last) told(); last = null; });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -TILE, ArrowDown: TILE };
    if (event.key in moves) pen = Math.min(Math.max((pen ?? 0) + moves[event.key], 0), TILE * TILE - 1);
    else if (event.key === " ") { pixels[pen ?? 0] = ink; told(); }
    else return;
    event.preventDefault();
    show();
  });
  canvas.addEventListener("blur", show);
  inks.append(...INKS.map((one) => {
    const button = element("button", { type: "button", "aria-label": `gray level ${one}`, "aria-pressed": String(one === ink) });
    button.style.background = `rgb(${one} ${one} ${one})`;
    button.addEventListener("click", () => {
      ink = one;
      for (const other of inks.children) other.setAttribute("aria-pressed", String(other === button));
    });
    return button;
  }));
  clear.addEventListener("click", () => { pixels.fill(240); show(); told(); });
  show();
}
