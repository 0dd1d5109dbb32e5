// Parallel coordinates: a line a row while few are selected, else between each pair of neighbouring axes
// the counts of a grid of cells, drawn as bands. Rows that are not selected stay behind as bands.
import { contextTable, cssColour, themeOf, valueTable, type Rgb } from '../palette';
import type { Placed } from './raster';

export interface BandAxis extends Placed {
  at: number; // in pixels
}

export interface BandPicture {
  axes: BandAxis[];
  top: number;
  bottom: number;
  n: number;
  mask: Uint8Array | null;
  selected: number;
  colour: Placed | null;
  ratio: number;
  dark: boolean;
}

export const LINES_MAX = 8000;
const CELLS = 64;
const LEVELS = 12;

type Context = OffscreenCanvasRenderingContext2D;

// A picture of the rows whose mask is `state`, between axes a and b.
function drawBand(ctx: Context, p: BandPicture, a: BandAxis, b: BandAxis, state: number, colours: Rgb[], strength: number) {
  const grid = new Uint32Array(CELLS * CELLS);
  const sa = CELLS / (a.hi - a.lo || 1);
  const sb = CELLS / (b.hi - b.lo || 1);
  const ca = a.hi > a.lo ? 0 : CELLS / 2; // one value alone sits in the middle
  const cb = b.hi > b.lo ? 0 : CELLS / 2;
  let most = 1;
  for (let i = 0; i < p.n; i++) {
    if (p.mask && p.mask[i] !== state) continue;
    const u = (a.data[i] - a.lo) * sa + ca;
    const v = (b.data[i] - b.lo) * sb + cb;
    if (!(u >= 0 && v >= 0 && u <= CELLS && v <= CELLS)) continue;
    const k = Math.min(u | 0, CELLS - 1) * CELLS + Math.min(v | 0, CELLS - 1);
    if (++grid[k] > most) most = grid[k];
  }
  // Where nearly every pair of cells is joined, the bands lie over each other: weaker, so that counts still show.
  const joined = grid.reduce((sum, c) => sum + (c > 0 ? 1 : 0), 0);
  const thin = Math.max(0.2, Math.min(1, Math.sqrt(400 / Math.max(1, joined))));
  const paths = Array.from({ length: LEVELS }, () => new Path2D());
  const step = (p.bottom - p.top) / CELLS;
  for (let i = 0; i < CELLS; i++)
    for (let j = 0; j < CELLS; j++) {
      const c = grid[i * CELLS + j];
      if (c === 0) continue;
      const level = Math.min(LEVELS - 1, Math.floor((LEVELS * Math.log1p(c)) / Math.log1p(most + 1)));
      paths[level].moveTo(a.at, p.bottom - (i + 0.5) * step);
      paths[level].lineTo(b.at, p.bottom - (j + 0.5) * step);
    }
  ctx.lineWidth = Math.max(1, step * 0.55);
  paths.forEach((path, level) => {
    const t = (level + 1) / LEVELS;
    ctx.globalAlpha = strength * thin * (0.06 + 0.5 * t * t);
    ctx.strokeStyle = cssColour(colours[Math.floor(255 * t)]);
    ctx.stroke(path);
  });
  ctx.globalAlpha = 1;
}

function drawLines(ctx: Context, p: BandPicture): number {
  const table = p.colour ? valueTable(p.dark) : null;
  const plain = themeOf(p.dark).point;
  ctx.lineWidth = p.ratio * (p.selected > 500 ? 0.8 : 1.2);
  ctx.globalAlpha = p.selected > 2000 ? 0.18 : p.selected > 300 ? 0.35 : 0.7;
  let drawn = 0;
  for (let i = 0; i < p.n; i++) {
    if (p.mask && p.mask[i] !== 2) continue;
    ctx.beginPath();
    let open = false;
    for (const a of p.axes) {
      const t = a.hi > a.lo ? (a.data[i] - a.lo) / (a.hi - a.lo) : a.data[i] === a.lo ? 0.5 : NaN;
      if (!(t >= -1e-6 && t <= 1 + 1e-6)) {
        open = false; // no value here: the line has a gap
        continue;
      }
      const y = p.bottom - t * (p.bottom - p.top);
      if (open) ctx.lineTo(a.at, y);
      else ctx.moveTo(a.at, y);
      open = true;
    }
    ctx.strokeStyle = plain;
    if (table && p.colour) {
      const t = (255 * (p.colour.data[i] - p.colour.lo)) / (p.colour.hi - p.colour.lo || 1);
      if (t === t) ctx.strokeStyle = cssColour(table[Math.min(255, Math.max(0, t | 0))]);
    }
    ctx.stroke();
    drawn++;
  }
  ctx.globalAlpha = 1;
  return drawn;
}

export function drawParallel(ctx: Context, p: BandPicture): { lines: boolean; drawn: number } {
  const lines = p.selected <= LINES_MAX;
  for (let k = 0; k + 1 < p.axes.length; k++) {
    if (p.mask) drawBand(ctx, p, p.axes[k], p.axes[k + 1], 1, contextTable(p.dark), 0.8);
    if (!lines) {
      const front = themeOf(p.dark).point;
      const c: Rgb = [1, 3, 5].map((i) => parseInt(front.slice(i, i + 2), 16)) as Rgb;
      drawBand(ctx, p, p.axes[k], p.axes[k + 1], 2, Array(256).fill(c), 1);
    }
  }
  return { lines, drawn: lines ? drawLines(ctx, p) : p.selected };
}
