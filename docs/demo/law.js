"use strict";
// DEFLATE as a next-byte distribution, in floats: the decoder's law (compgen/laws/lz77.py) and the one-step rule
// (compgen/models/derived/one_step.py). zlib itself is pako, a translation of it that writes the same bytes.
const deflateLaw = (() => {
  const REACH = 32768, LONGEST = 258;
  const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
  const DISTANCE_EXTRA = [0, 0, 0, 0, ...Array.from({ length: 26 }, (_, i) => (i >> 1) + 1)];
  const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]; // RFC 1951, section 3.2.7
  const WORTH = 1024; // symbols from which on a block's code lengths are worth something
  const UNCODED = 17; // bits of a byte that a block has no code for
  const PASS = 1024, RUN_UP = 264; // where the pass over the context begins, as in lz77.py
  const bases = (first, extra) => extra.map((_, i) => first + extra.slice(0, i).reduce((sum, bits) => sum + (1 << bits), 0));
  const LENGTH_BASE = bases(3, LENGTH_EXTRA), DISTANCE_BASE = bases(1, DISTANCE_EXTRA);
  LENGTH_BASE[28] = LONGEST;

  // zlib's stream for a context; with the other hash, pako finds other matches than zlib.
  const compressed = (bytes) => pako.deflateRaw(bytes, { level: 9, legacyHash: true });

  class Bits {
    constructor(stream) { this.stream = stream; this.place = 0; }
    take(count) {
      let value = 0;
      for (let i = 0; i < count; i++, this.place++) value |= (this.stream[this.place >> 3] >> (this.place & 7) & 1) << i;
      return value;
    }
    symbol(code) {
      if (this.place > 8 * this.stream.length) throw new Error("the stream is cut short");
      let bits = 0;
      for (let length = 1; length < 16; length++) {
        bits = bits << 1 | this.take(1);
        const found = code.get(length << 16 | bits);
        if (found !== undefined) return found;
      }
      throw new Error("the stream is damaged");
    }
  }

  // Symbols by the length and bits of their codes.
  function codeOf(lengths) {
    const code = new Map();
    for (let length = 1, next = 0; length < 16; length++, next <<= 1) {
      lengths.forEach((bits, symbol) => { if (bits === length) code.set(length << 16 | next++, symbol); });
    }
    return code;
  }

  function readLengths(bits) {
    const literals = bits.take(5) + 257, distances = bits.take(5) + 1, count = bits.take(4) + 4;
    const meta = new Array(19).fill(0), read = [];
    for (const symbol of ORDER.slice(0, count)) meta[symbol] = bits.take(3);
    const code = codeOf(meta);
    while (read.length < literals + distances) {
      const symbol = bits.symbol(code);
      if (symbol < 16) read.push(symbol);
      else if (symbol === 16) read.push(...new Array(3 + bits.take(2)).fill(read.at(-1)));
      else read.push(...new Array(symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7)).fill(0));
    }
    return [read.slice(0, literals), read.slice(literals)];
  }

  // The blocks of a stream: code lengths (none of a stored block), symbols with the end mark, the bit behind the end.
  function blocks(stream) {
    const bits = new Bits(stream), found = [];
    for (let last = 0; !last;) {
      last = bits.take(1);
      const kind = bits.take(2);
      if (kind === 0) {
        bits.place = Math.ceil(bits.place / 8) * 8;
        const size = bits.take(16);
        bits.place += 16 + 8 * size;
        found.push({ symbols: size, end: bits.place });
        continue;
      }
      const fixed = [Array.from({ length: 288 }, (_, i) => i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8), new Array(32).fill(5)];
      const [literals, distances] = kind === 1 ? fixed : readLengths(bits);
      const code = codeOf(literals), far = codeOf(distances);
      for (let symbols = 1; ; symbols++) {
        const symbol = bits.symbol(code);
        if (symbol === 256) { found.push({ literals, distances, symbols, end: bits.place }); break; }
        if (symbol > 256) {
          bits.place += LENGTH_EXTRA[symbol - 257];
          const distance = bits.symbol(far); // which moves the place, too
          bits.place += DISTANCE_EXTRA[distance];
        }
      }
    }
    return found;
  }

  // The prices of instructions, as probabilities, from the last block of a fair size, or else the largest.
  function prices(context) {
    const found = blocks(compressed(context)), fair = found.filter((block) => block.symbols >= WORTH);
    const block = fair.at(-1) ?? found.reduceRight((best, one) => best && best.symbols >= one.symbols ? best : one, null);
    const literals = new Float64Array(256).fill(1 / 256), lengths = new Float64Array(LONGEST + 1), distances = new Float64Array(REACH + 1);
    if (block.literals) {
      for (let byte = 0; byte < 256; byte++) literals[byte] = 2 ** -(block.literals[byte] || UNCODED);
      LENGTH_BASE.forEach((base, i) => {
        const bits = block.literals[257 + i];
        if (bits) for (let k = 0; k < 1 << LENGTH_EXTRA[i] && base + k <= LONGEST; k++) lengths[base + k] += 2 ** -(bits + LENGTH_EXTRA[i]);
      });
      DISTANCE_BASE.forEach((base, i) => {
        const bits = block.distances[i];
        if (bits) for (let k = 0; k < 1 << DISTANCE_EXTRA[i]; k++) distances[base + k] = 2 ** -(bits + DISTANCE_EXTRA[i]);
      });
    }
    const tails = new Float64Array(LONGEST + 1);
    for (let k = LONGEST - 1; k >= 0; k--) tails[k] = tails[k + 1] + lengths[k + 1];
    return { literals, lengths, distances, tails };
  }

  // Where prices are found anew: at powers of two from 256 on, then every 1,024 bytes.
  const renewed = (length) => length < 256 ? 0 : length < 1024 ? 2 ** Math.floor(Math.log2(length)) : Math.floor(length / 1024) * 1024;

  let kept; // the prices found last

  // The law: for each byte, the probability that a decoder fed with fair random bits writes it after the context.
  function law(context) {
    const size = context.length, priced = renewed(size), known = context.slice(0, priced);
    if (!kept || kept.known.length !== priced || kept.known.some((byte, i) => byte !== known[i])) kept = { known, prices: prices(known) };
    const { literals, lengths, distances, tails } = kept.prices;
    const origin = Math.max(0, Math.max(priced, Math.floor(size / PASS) * PASS) - RUN_UP);
    const masses = new Float64Array(size - origin + 1); // log2 of boundary masses
    const runs = new Int16Array(size + 1); // by position: how long a copy from there has run
    const places = Array.from({ length: 256 }, () => []); // the positions behind each byte
    for (let i = 0; i < origin; i++) places[context[i]].push(i + 1);
    for (let end = origin + 1; end <= size; end++) {
      const byte = context[end - 1], before = places[byte], serving = new Float64Array(LONGEST + 2);
      let longest = 0;
      for (let i = before.length - 1; i >= 0 && end - before[i] <= REACH; i--) {
        const place = before[i];
        const longer = end - origin > 1 && place > 1 && context[place - 2] === context[end - 2];
        const run = runs[place] = longer ? Math.min(runs[place - 1] + 1, LONGEST) : 1;
        serving[run] += distances[end - place];
        if (run > longest) longest = run;
      }
      const now = end - origin;
      let most = masses[now - 1];
      for (let k = 2; k <= longest; k++) most = Math.max(most, masses[now - k]);
      let sum = literals[byte] * 2 ** (masses[now - 1] - most), served = 0;
      for (let k = longest; k >= 1; k--) {
        served += serving[k];
        sum += served * lengths[k] * 2 ** (masses[now - k] - most);
      }
      masses[now] = most + Math.log2(sum);
      before.push(end);
    }
    return weighed();

    function weighed() {
      const now = size - origin, weights = Float64Array.from(literals), going = [0];
      for (let k = 1; k <= Math.min(now, LONGEST); k++) going[k] = going[k - 1] + tails[k] * 2 ** (masses[now - k] - masses[now]);
      for (let place = size - 1; place >= 0 && size - place <= REACH; place--) {
        const goes = now > 0 && place > 0 && context[place - 1] === context[size - 1] ? runs[place] : 0;
        weights[context[place]] += distances[size - place] * (tails[0] + going[goes]);
      }
      const total = weights.reduce((sum, one) => sum + one, 0);
      return weights.map((one) => one / total);
    }
  }

  // L(x), bits: where the last block with data ends.
  function codeLength(bytes) {
    const found = blocks(compressed(bytes));
    if (found.length > 1 && found.at(-1).symbols === 1) found.pop();
    return found.at(-1).symbols === 1 ? 0 : found.at(-1).end;
  }

  // The one-step rule, given L(context + byte) for all bytes: shares in proportion to 2**-L.
  function oneStep(added) {
    const least = Math.min(...added), weights = added.map((bits) => 2 ** (least - bits));
    const total = weights.reduce((sum, one) => sum + one, 0);
    return weights.map((one) => one / total);
  }

  return { law, codeLength, oneStep };
})();
