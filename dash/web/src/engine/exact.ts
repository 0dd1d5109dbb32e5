// A column in double precision, for the order of the table: what the pictures use cannot tell neighbours apart.
import { readFrame } from '../frame';

export class ExactColumn {
  values = new Float64Array(0);
  private have = 0;
  private epoch = '0';

  constructor(readonly sweep: string, readonly name: string, readonly generation: number) {}

  // Its first `rows` values; null if the server has other rows by now: the next order asks again.
  async first(rows: number): Promise<Float64Array | null> {
    while (this.have < rows) {
      const query = new URLSearchParams({ columns: this.name, exact: '1', since: String(this.have), epoch: this.epoch });
      const response = await fetch(`/api/v1/sweeps/${encodeURIComponent(this.sweep)}/columns?${query}`);
      if (!response.ok) return null;
      const { meta, columns, rows: n } = readFrame(await response.arrayBuffer());
      const epoch = String(meta.epoch);
      if (epoch !== this.epoch && this.have > 0) {
        this.have = 0;
        this.epoch = epoch;
        return null;
      }
      this.epoch = epoch;
      const column = columns.find((c) => c.name === this.name);
      if (!column || n === 0 || meta.first !== this.have) return null;
      if (this.values.length < this.have + n) {
        const next = new Float64Array(Math.max(this.have + n, Math.ceil(this.values.length * 1.5)));
        next.set(this.values.subarray(0, this.have));
        this.values = next;
      }
      this.values.set(column.values, this.have);
      this.have += n;
    }
    return this.values;
  }
}

// Sorts row numbers by doubles, least significant digits first, six passes of eleven bits; what is not a number
// comes last. Rows with equal values keep their order.
export function sortExact(rows: Uint32Array, values: Float64Array, descending: boolean): Uint32Array {
  const n = rows.length;
  const words = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
  let low = new Uint32Array(n);
  let high = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const row = rows[i];
    const x = values[row];
    if (x !== x) {
      low[i] = high[i] = 0xffffffff;
      continue;
    }
    // Zero and minus zero are equal. Ordered as whole numbers: negative ones inverted, others above them.
    const h = x === 0 ? 0 : words[2 * row + 1];
    const l = x === 0 ? 0 : words[2 * row];
    const flip = h >>> 31 !== (descending ? 1 : 0);
    const key = h >>> 31 ? ~h : h | 0x80000000;
    high[i] = (descending ? ~key : key) >>> 0;
    low[i] = (flip ? ~l : l) >>> 0;
  }
  let at: Uint32Array = rows;
  let to: Uint32Array = new Uint32Array(n);
  let lowTo = new Uint32Array(n);
  let highTo = new Uint32Array(n);
  for (let pass = 0; pass < 6; pass++) {
    const shift = 11 * (pass % 3);
    const keys = pass < 3 ? low : high;
    const count = new Uint32Array(2049);
    for (let i = 0; i < n; i++) count[((keys[i] >>> shift) & 2047) + 1]++;
    if (count.some((c) => c === n && n > 0)) continue; // all have the same digit
    for (let b = 0; b < 2048; b++) count[b + 1] += count[b];
    for (let i = 0; i < n; i++) {
      const place = count[(keys[i] >>> shift) & 2047]++;
      to[place] = at[i];
      lowTo[place] = low[i];
      highTo[place] = high[i];
    }
    [at, to] = [to, at === rows ? new Uint32Array(n) : at];
    [low, lowTo] = [lowTo, low];
    [high, highTo] = [highTo, high];
  }
  return at;
}
