// What quantviz.figures.to_bytes wrote: compressed, JSON whose arrays lie behind it.
import {inflate} from "./inflate.js";

const KINDS = {
  f4: Float32Array, f8: Float64Array, i1: Int8Array, u1: Uint8Array,
  i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array,
};

export function unpack(bytes) {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const {buffer} = inflate(bytes.subarray(4), size);
  const length = new DataView(buffer).getUint32(0, true), start = 4 + length;
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  return JSON.parse(text, (_, value) => value?.$ ? array(value, buffer, start) : value);
}

function array({$: [kind, offset, length], columns, from, step}, buffer, start) {
  let numbers = new KINDS[kind](buffer, start + offset, length);
  if (step) numbers = Float32Array.from(numbers, n => from + step * n);
  if (!columns) return numbers;
  return Array.from({length: length / columns}, (_, row) => numbers.subarray(row * columns, (row + 1) * columns));
}

export function same(a, b) {
  return a?.length === b.length && a.every((byte, i) => byte === b[i]);
}
