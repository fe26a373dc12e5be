// The state of the page in its address, behind the #: so it can be kept, sent and gone back to.
const MOST = 24000; // characters of an address; browsers take more, mail and chats do not

async function through(bytes, stream, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader(), parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) throw new Error("the address holds more than the page takes");
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// Bytes in an address are compressed by DEFLATE. What else.
export async function packed(bytes) {
  const small = await through(bytes, new CompressionStream("deflate-raw"), Infinity);
  return btoa(Array.from(small, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export async function unpacked(text, most) {
  const small = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return through(small, new DecompressionStream("deflate-raw"), most);
}

export const read = () => new URLSearchParams(location.hash.slice(1));

// Write the state; return whether all of it fits.
export function write(entries) {
  const state = new URLSearchParams(entries);
  const fits = state.toString().length <= MOST;
  if (!fits) for (const key of ["text", "bytes"]) state.delete(key);
  history.replaceState(null, "", `#${state}`);
  return fits;
}
