// Which rows are shown and which of them are selected, from ranges, a lasso and a list of trials.
import type { Columns } from './columns';
import type { Filter, Lasso } from './messages';

export const HIDDEN = 0;
export const CONTEXT = 1;
export const SELECTED = 2;

const CELLS = 256;

export class Selection {
  mask = new Uint8Array(0);
  shown = 0;
  selected = 0;
  ms = 0;
  active = false; // is anything but everything selected?
  generation = 0;
  filter: Filter = { ranges: [], lasso: null, where: '', feasible: false };
  trials: Uint8Array | null = null; // a bit a trial, that the server's SQL let pass

  setTrials(list: Float64Array | null) {
    if (!list) {
      this.trials = null;
      return;
    }
    const last = list.reduce((a, b) => Math.max(a, b), 0);
    this.trials = new Uint8Array((last >> 3) + 1);
    for (const t of list) this.trials[Math.floor(t / 8)] |= 1 << t % 8;
  }

  // Columns that the filter looks at.
  columns(): string[] {
    const names = this.filter.ranges.map((r) => r.column);
    if (this.filter.lasso) names.push(this.filter.lasso.x, this.filter.lasso.y);
    if (this.filter.feasible) names.push('sky_feasible');
    return names;
  }

  apply(columns: Columns) {
    const began = performance.now();
    const n = columns.rows;
    if (this.mask.length < n) this.mask = new Uint8Array(Math.max(n, Math.ceil(this.mask.length * 1.6)));
    const mask = this.mask;
    mask.fill(SELECTED, 0, n);
    const { ranges, lasso, where, feasible } = this.filter;
    for (const r of ranges) {
      const c = columns.get(r.column);
      if (!c) continue;
      // Ends are widened by what a float cannot tell apart, so that a value that was picked is kept.
      const slack = 6e-8 * Math.max(Math.abs(r.lo), Math.abs(r.hi));
      const lo = r.lo - slack - c.base;
      const hi = r.hi + slack - c.base;
      keepWithin(mask, c.data, lo, hi, n);
    }
    if (lasso) applyLasso(columns, lasso, mask, n);
    if (where && this.trials) {
      const bits = this.trials;
      const trials = columns.trials;
      for (let i = 0; i < n; i++) {
        const t = trials[i];
        if (!((bits[Math.floor(t / 8)] ?? 0) & (1 << t % 8))) mask[i] = CONTEXT;
      }
    }
    const ok = feasible ? columns.get('sky_feasible') : undefined;
    if (ok) for (let i = 0; i < n; i++) if (ok.data[i] + ok.base === 0) mask[i] = HIDDEN;
    let shown = 0;
    let selected = 0;
    for (let i = 0; i < n; i++) {
      shown += mask[i] > 0 ? 1 : 0;
      selected += mask[i] >> 1;
    }
    this.shown = shown;
    this.selected = selected;
    this.active = ranges.length > 0 || !!lasso || !!where;
    this.generation++;
    this.ms = performance.now() - began;
  }
}

// Of the selected rows those within the ends stay so. Without a branch: whether a point lies in a brush is what a
// processor cannot guess.
function keepWithin(mask: Uint8Array, data: Float32Array, lo: number, hi: number, n: number) {
  for (let i = 0; i < n; i++) {
    const x = data[i];
    mask[i] = CONTEXT + (+(x >= lo) & +(x <= hi) & (mask[i] >> 1));
  }
}

function inside(points: [number, number][], x: number, y: number): boolean {
  let odd = false;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [xi, yi] = points[i];
    const [xj, yj] = points[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

// A grid over the lasso's box says of most cells whether they are in or out; only points in a cell that
// an edge may cross are tested one by one.
function cells(points: [number, number][], x0: number, y0: number, dx: number, dy: number): Uint8Array {
  const grid = new Uint8Array(CELLS * CELLS);
  for (let cy = 0; cy < CELLS; cy++)
    for (let cx = 0; cx < CELLS; cx++)
      grid[cy * CELLS + cx] = inside(points, x0 + (cx + 0.5) * dx, y0 + (cy + 0.5) * dy) ? 1 : 0;
  const mark = (x: number, y: number) => {
    for (let oy = -1; oy <= 1; oy++)
      for (let ox = -1; ox <= 1; ox++) {
        const cx = Math.floor((x - x0) / dx) + ox;
        const cy = Math.floor((y - y0) / dy) + oy;
        if (cx >= 0 && cy >= 0 && cx < CELLS && cy < CELLS) grid[cy * CELLS + cx] = 2;
      }
  };
  points.forEach(([xa, ya], i) => {
    const [xb, yb] = points[(i + 1) % points.length];
    const steps = 2 * Math.ceil(Math.max(Math.abs(xb - xa) / dx, Math.abs(yb - ya) / dy)) + 1;
    for (let s = 0; s <= steps; s++) mark(xa + ((xb - xa) * s) / steps, ya + ((yb - ya) * s) / steps);
  });
  return grid;
}

function applyLasso(columns: Columns, lasso: Lasso, mask: Uint8Array, n: number) {
  const xs = lasso.points.map((p) => p[0]);
  const ys = lasso.points.map((p) => p[1]);
  const ax = columns.scaled(lasso.x, lasso.xlog, Math.min(...xs), Math.max(...xs));
  const ay = columns.scaled(lasso.y, lasso.ylog, Math.min(...ys), Math.max(...ys));
  if (!ax || !ay) return;
  const bx = lasso.xlog ? 0 : columns.get(lasso.x)!.base;
  const by = lasso.ylog ? 0 : columns.get(lasso.y)!.base;
  const points = lasso.points.map(([x, y]): [number, number] => [
    (lasso.xlog ? Math.log10(x) : x) - bx,
    (lasso.ylog ? Math.log10(y) : y) - by,
  ]);
  const dx = (ax.hi - ax.lo) / CELLS || 1e-300;
  const dy = (ay.hi - ay.lo) / CELLS || 1e-300;
  const grid = cells(points, ax.lo, ay.lo, dx, dy);
  for (let i = 0; i < n; i++) {
    if (mask[i] !== SELECTED) continue;
    const x = ax.data[i];
    const y = ay.data[i];
    let cell = 0;
    if (x >= ax.lo && x <= ax.hi && y >= ay.lo && y <= ay.hi) {
      const cx = Math.min(((x - ax.lo) / dx) | 0, CELLS - 1);
      const cy = Math.min(((y - ay.lo) / dy) | 0, CELLS - 1);
      cell = grid[cy * CELLS + cx];
      if (cell === 2) cell = inside(points, x, y) ? 1 : 0;
    }
    if (cell === 0) mask[i] = CONTEXT;
  }
}

// ---- Order of the table ----

// Sorts row numbers by a float column, three passes of eleven bits; what is not a number comes last.
export function sortRows(rows: Uint32Array, data: Float32Array, descending: boolean, rank: Uint32Array | null): Uint32Array {
  const n = rows.length;
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let keys = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const row = rows[i];
    const v = data[row];
    if (v !== v) {
      keys[i] = 0xffffffff;
      continue;
    }
    const b = bits[row];
    const key = rank ? rank[v] : b >>> 31 ? ~b >>> 0 : (b | 0x80000000) >>> 0;
    keys[i] = descending ? 0xfffffffe - key : key;
  }
  let at: Uint32Array = rows;
  let to: Uint32Array = new Uint32Array(n);
  let keysTo = new Uint32Array(n);
  for (let shift = 0; shift < 33; shift += 11) {
    const count = new Uint32Array(2049);
    for (let i = 0; i < n; i++) count[((keys[i] >>> shift) & 2047) + 1]++;
    for (let b = 0; b < 2048; b++) count[b + 1] += count[b];
    for (let i = 0; i < n; i++) {
      const place = count[(keys[i] >>> shift) & 2047]++;
      to[place] = at[i];
      keysTo[place] = keys[i];
    }
    [at, to] = [to, at === rows ? new Uint32Array(n) : at];
    [keys, keysTo] = [keysTo, keys];
  }
  return at;
}
