// Draws points on the CPU: discs while they are few, a density of counts when they are many. Both fill
// pixels directly; a million points take some 15 ms, which no way of drawing one by one does here.
import { contextTable, countTable, rgb, themeOf, valueTable, type Rgb } from '../palette';
import { CONTEXT, HIDDEN } from './select';

export interface Placed {
  data: Float32Array;
  lo: number;
  hi: number;
}

export interface Picture {
  width: number;
  height: number;
  x: Placed;
  y: Placed;
  mask: Uint8Array | null; // null: all are selected
  n: number;
  colour: Placed | null; // its lo and hi are the colour scale's ends
  size: Placed | null;
  ratio: number;
  dark: boolean;
}

const packed = (table: Rgb[], alpha: number) =>
  Uint32Array.from(table, ([r, g, b]) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0);

// ---- Density ----

export class Density {
  private counts = new Uint32Array(0);
  private context = new Uint32Array(0);
  private sums = new Float32Array(0);
  private key = '';
  private done = 0;
  inside = 0;
  countMax = 0;

  // Counts go on from the last picture's where only rows were added to it.
  draw(p: Picture, key: string, out: ImageData) {
    const cells = p.width * p.height;
    if (this.counts.length !== cells) {
      this.counts = new Uint32Array(cells);
      this.context = new Uint32Array(cells);
      this.sums = new Float32Array(cells);
      this.key = '';
    }
    if (key !== this.key || this.done > p.n) {
      this.counts.fill(0);
      this.context.fill(0);
      this.sums.fill(0);
      this.done = this.inside = 0;
      this.key = key;
    }
    this.count(p, this.done, p.n);
    this.done = p.n;
    this.paint(p, out);
  }

  private count(p: Picture, from: number, to: number) {
    const { width: w, height: h, mask, colour } = p;
    const { counts, context, sums } = this;
    const xs = p.x.data;
    const ys = p.y.data;
    const x0 = p.x.lo;
    const y1 = p.y.hi;
    const sx = w / (p.x.hi - x0);
    const sy = h / (y1 - p.y.lo);
    const cs = colour ? colour.data : null;
    let inside = 0;
    for (let i = from; i < to; i++) {
      const u = (xs[i] - x0) * sx;
      const v = (y1 - ys[i]) * sy;
      if (!(u >= 0 && v >= 0 && u < w && v < h)) continue;
      const cell = (v | 0) * w + (u | 0);
      if (mask && mask[i] !== 2) {
        if (mask[i] === HIDDEN) continue;
        context[cell]++;
      } else {
        counts[cell]++;
        if (cs) sums[cell] += cs[i];
      }
      inside++;
    }
    this.inside += inside;
  }

  private paint(p: Picture, out: ImageData) {
    const pixels = new Uint32Array(out.data.buffer);
    const { counts, context, sums } = this;
    let most = 1;
    let mostContext = 1;
    for (let i = 0; i < counts.length; i++) {
      if (counts[i] > most) most = counts[i];
      if (context[i] > mostContext) mostContext = context[i];
    }
    this.countMax = most;
    const dim = packed(contextTable(p.dark), 255);
    const shade = shadeTable(mostContext);
    const byCount = packed(countTable(p.dark), 255);
    const shadeCount = shadeTable(most);
    const byValue = p.colour ? packed(valueTable(p.dark), 255) : null;
    const lo = p.colour ? p.colour.lo : 0;
    const scale = p.colour ? 255 / (p.colour.hi - lo || 1) : 0;
    for (let i = 0; i < pixels.length; i++) {
      const c = counts[i];
      if (c > 0) {
        if (byValue) {
          const t = (sums[i] / c - lo) * scale;
          pixels[i] = t === t ? byValue[t < 0 ? 0 : t > 255 ? 255 : t | 0] : dim[200];
        } else {
          pixels[i] = byCount[c < 4096 ? shadeCount[c] : (255 * Math.log1p(c)) / Math.log1p(most) | 0];
        }
      } else if (context[i] > 0) {
        const d = context[i];
        pixels[i] = dim[d < 4096 ? shade[d] : 255];
      } else {
        pixels[i] = 0;
      }
    }
  }
}

// log(1 + count), from 0 to 255, for small counts. One point alone is at the light end.
function shadeTable(most: number): Uint8Array {
  const table = new Uint8Array(4096);
  const top = Math.log(Math.max(most, 2));
  for (let c = 1; c < 4096; c++) table[c] = Math.min(255, (255 * Math.log(c)) / top);
  return table;
}

// ---- Discs ----

function discMask(radius: number): { size: number; alpha: Uint8Array } {
  const half = Math.ceil(radius + 0.5);
  const size = 2 * half + 1;
  const alpha = new Uint8Array(size * size);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const d = Math.hypot(x - half, y - half);
      alpha[y * size + x] = 255 * Math.min(1, Math.max(0, radius + 0.5 - d));
    }
  return { size, alpha };
}

function stamp(out: ImageData, cx: number, cy: number, disc: { size: number; alpha: Uint8Array }, c: Rgb, opacity: number) {
  const { data, width, height } = out;
  const half = disc.size >> 1;
  for (let dy = 0; dy < disc.size; dy++) {
    const y = cy + dy - half;
    if (y < 0 || y >= height) continue;
    for (let dx = 0; dx < disc.size; dx++) {
      const x = cx + dx - half;
      const a = (disc.alpha[dy * disc.size + dx] * opacity) / 255;
      if (a === 0 || x < 0 || x >= width) continue;
      const k = 4 * (y * width + x);
      const under = (data[k + 3] / 255) * (1 - a);
      const over = a + under;
      for (let j = 0; j < 3; j++) data[k + j] = (c[j] * a + data[k + j] * under) / over;
      data[k + 3] = 255 * over;
    }
  }
}

export function drawDiscs(p: Picture, out: ImageData): number {
  const { width: w, height: h, mask, colour, size } = p;
  out.data.fill(0);
  const sx = w / (p.x.hi - p.x.lo);
  const sy = h / (p.y.hi - p.y.lo);
  const shrink = w / p.ratio < 420 ? 0.75 : 1; // a panel of a matrix, a phone
  const radius = shrink * p.ratio * (p.n < 300 ? 3.6 : p.n < 3000 ? 2.7 : p.n < 10000 ? 1.9 : 1.4);
  const opacity = p.n < 300 ? 0.85 : p.n < 3000 ? 0.7 : 0.6;
  const sizes = size ? Array.from({ length: 16 }, (_, k) => discMask(p.ratio * Math.sqrt(2 + (k * 60) / 15))) : [discMask(radius)];
  const table = colour ? valueTable(p.dark) : null;
  const plain = rgb(themeOf(p.dark).point);
  const dim = contextTable(p.dark)[160];
  let inside = 0;
  for (let pass = CONTEXT; pass <= 2; pass++) {
    for (let i = 0; i < p.n; i++) {
      if ((mask ? mask[i] : 2) !== pass) continue;
      const u = (p.x.data[i] - p.x.lo) * sx;
      const v = (p.y.hi - p.y.data[i]) * sy;
      if (!(u >= -9 && v >= -9 && u < w + 9 && v < h + 9)) continue;
      let c = plain;
      if (table && colour) {
        const t = (255 * (colour.data[i] - colour.lo)) / (colour.hi - colour.lo || 1);
        c = t === t ? table[Math.min(255, Math.max(0, t | 0))] : dim;
      }
      let disc = sizes[0];
      if (size) {
        const t = (15 * (size.data[i] - size.lo)) / (size.hi - size.lo || 1);
        disc = sizes[t === t ? Math.min(15, Math.max(0, t | 0)) : 0];
      }
      stamp(out, Math.round(u - 0.5), Math.round(v - 0.5), disc, pass === 2 ? c : dim, pass === 2 ? opacity : 0.5);
      if (u >= 0 && v >= 0 && u < w && v < h) inside++;
    }
  }
  return inside;
}

// The nearest shown point, by squared distance with the given weights of the two axes.
export function nearest(x: Placed, y: Placed, mask: Uint8Array | null, n: number, sx: number, sy: number, px: number, py: number) {
  const xs = x.data;
  const ys = y.data;
  let best = -1;
  let least = Infinity;
  for (let i = 0; i < n; i++) {
    const dx = (xs[i] - px) * sx;
    const dy = (ys[i] - py) * sy;
    const d = dx * dx + dy * dy;
    if (d < least && (!mask || mask[i] === 2)) {
      least = d;
      best = i;
    }
  }
  return { row: best, distance: Math.sqrt(least) };
}
