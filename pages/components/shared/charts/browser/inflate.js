// Undoes zlib's compression (RFC 1950 and 1951) at once. The browser's own DecompressionStream takes several turns, and
// a figure would wait in each for all that the page has to do besides.
const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const BACK_BITS = Array.from({length: 30}, (_, i) => Math.max(0, (i >> 1) - 1));
const BACK = BACK_BITS.map((_, i) => 1 + BACK_BITS.slice(0, i).reduce((sum, bits) => sum + (1 << bits), 0));
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

// packed: Uint8Array.  size: bytes of what it holds.
export function inflate(packed, size) {
  const out = new Uint8Array(size);
  let at = 2, held = 0, count = 0, end = 0;  // behind the two bytes of zlib's heading

  function bits(n) {
    while (count < n) {
      held |= packed[at++] << count;
      count += 8;
    }
    const value = held & ((1 << n) - 1);
    held >>>= n;
    count -= n;
    return value;
  }

  // The symbol whose code comes next. Codes of a length are consecutive numbers, the shorter ones first.
  function symbol({counts, symbols}) {
    for (let length = 1, code = 0, first = 0, index = 0; length < 16; length++) {
      code |= bits(1);
      if (code - first < counts[length]) return symbols[index + code - first];
      index += counts[length];
      first = (first + counts[length]) << 1;
      code <<= 1;
    }
    throw new Error("The figure's data are damaged.");
  }

  function read(literals, distances) {
    for (let found = symbol(literals); found !== 256; found = symbol(literals)) {
      if (found < 256) {
        out[end++] = found;
        continue;
      }
      const length = LENGTHS[found - 257] + bits(LENGTH_BITS[found - 257]);
      const distance = symbol(distances), back = BACK[distance] + bits(BACK_BITS[distance]);
      for (let i = 0; i < length; i++, end++) out[end] = out[end - back];
    }
  }

  function ownCodes() {
    const [literals, distances, given] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    const of = new Uint8Array(19), lengths = [];
    for (let i = 0; i < given; i++) of[ORDER[i]] = bits(3);
    const short = codes(of);
    while (lengths.length < literals + distances) {
      const found = symbol(short);
      if (found < 16) lengths.push(found);
      else if (found === 16) repeat(lengths, lengths.at(-1), 3 + bits(2));
      else repeat(lengths, 0, found === 17 ? 3 + bits(3) : 11 + bits(7));
    }
    return [codes(lengths.slice(0, literals)), codes(lengths.slice(literals))];
  }

  for (let isLast = 0; !isLast;) {
    isLast = bits(1);
    const kind = bits(2);
    if (kind === 0) {
      count = held = 0;
      const length = packed[at] | packed[at + 1] << 8;
      out.set(packed.subarray(at + 4, at + 4 + length), end);
      at += 4 + length;
      end += length;
    } else read(...(kind === 1 ? FIXED : ownCodes()));
  }
  return out;
}

function repeat(list, value, times) {
  while (times-- > 0) list.push(value);
}

function codes(lengths) {
  const counts = new Uint16Array(16), symbols = [];
  for (let length = 1; length < 16; length++) {
    lengths.forEach((own, i) => own === length && symbols.push(i));
    counts[length] = lengths.filter(own => own === length).length;
  }
  return {counts, symbols};
}

const FIXED = [
  codes(Array.from({length: 288}, (_, i) => i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)), codes(Array(30).fill(5)),
];
