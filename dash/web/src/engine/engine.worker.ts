// The worker: holds one sweep's columns, selects, draws and sorts, so that the page never waits.
import { drawParallel } from './bands';
import { Columns } from './columns';
import { readFrame } from '../frame';
import { ExactColumn, sortExact } from './exact';
import { Gpu } from './gpu';
import type { AxisView, Calls, Counts, Extent, Kind, RenderRequest } from './messages';
import { Density, drawDiscs, nearest, type Picture } from './raster';
import { Selection, sortRows } from './select';

const DISCS_MAX = 30000; // beyond, a density is drawn
const SLOW_MS = 12; // a GPU that needs longer for a frame is not one

let columns: Columns | null = null;
let gpu: Gpu | null = null;
const gpuTimes: number[] = [];
const selection = new Selection();
const densities = new Map<string, Density>();
let order: Uint32Array | null = null;
let exact: ExactColumn | null = null; // of the column that the table is sorted by
let chain: Promise<unknown> = Promise.resolve(); // what loads columns goes one after another

const need = (): Columns => {
  if (!columns) throw new Error('no sweep is open');
  return columns;
};

const maskOrNull = () => (selection.active || selection.filter.feasible ? selection.mask : null);

function counts(): Counts {
  const c = need();
  return { rows: c.rows, total: c.total, shown: selection.shown, selected: selection.selected, ms: selection.ms };
}

// The colour scale runs over the 2nd to 98th hundredth, so that one far value does not take all colours.
function span(name: string, log: boolean): [number, number] | null {
  const c = need().get(name);
  if (!c || !(c.hi >= c.lo)) return null;
  const n = need().rows;
  if (c.texts.length || n < 50) return [log ? c.positive : c.lo, c.hi];
  const step = Math.max(1, Math.floor(n / 4000));
  const sample: number[] = [];
  for (let i = 0; i < n; i += step) {
    const v = c.data[i] + c.base;
    if (v - v === 0 && (!log || v > 0)) sample.push(v);
  }
  sample.sort((a, b) => a - b);
  if (sample.length < 10) return [log ? c.positive : c.lo, c.hi];
  const lo = sample[Math.floor(0.02 * sample.length)];
  const hi = sample[Math.floor(0.98 * sample.length)];
  return hi > lo ? [lo, hi] : [log ? c.positive : c.lo, c.hi];
}

function picture(r: RenderRequest): { p: Picture; colourRange: [number, number] | null } | null {
  const c = need();
  const x = c.scaled(r.x.column, r.x.log, r.x.lo, r.x.hi);
  const y = c.scaled(r.y.column, r.y.log, r.y.lo, r.y.hi);
  if (!x || !y || r.width < 1 || r.height < 1) return null;
  const colourRange = r.colour ? span(r.colour, r.colourLog) : null;
  const sizeRange = r.size ? span(r.size, false) : null;
  const p: Picture = {
    width: r.width,
    height: r.height,
    x,
    y,
    mask: maskOrNull(),
    n: c.rows,
    colour: colourRange && c.scaled(r.colour, r.colourLog, colourRange[0], colourRange[1]),
    size: sizeRange && c.scaled(r.size, false, sizeRange[0], sizeRange[1]),
    ratio: r.ratio,
    dark: r.dark,
  };
  return { p, colourRange };
}

function paint(canvas: OffscreenCanvas, image: ImageData): ImageBitmap {
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return canvas.transferToImageBitmap();
}

function chooseRenderer(r: RenderRequest, n: number): 'points' | 'density' | 'gpu' {
  const sorted = [...gpuTimes].sort((a, b) => a - b);
  const slow = sorted.length >= 5 && sorted[sorted.length >> 1] > SLOW_MS;
  const usable = !!gpu && (r.renderer === 'points' || (gpu.real && !slow));
  if (r.renderer === 'density') return 'density';
  if (n <= DISCS_MAX) return 'points';
  return usable ? 'gpu' : 'density';
}

// Trial numbers have more digits than a float: two stable passes, the low 24 bits first.
function byTrial(c: Columns, rows: Uint32Array, descending: boolean): Uint32Array {
  const part = (of: (t: number) => number) => Float32Array.from(c.trials.subarray(0, c.rows), of);
  const low = sortRows(rows, part((t) => t % 0x1000000), descending, null);
  return sortRows(low, part((t) => Math.floor(t / 0x1000000)), descending, null);
}

const handlers: { [K in Kind]: (q: Calls[K]['in']) => Calls[K]['out'] | Promise<Calls[K]['out']> } = {
  open(q) {
    columns = new Columns(q.sweep, q.rowsMax);
    densities.clear();
    order = exact = null;
    gpu = gpu ?? new Gpu();
    return { gpu: gpu.name };
  },

  async refresh(q) {
    const c = need();
    const generation = c.generation;
    const changed = await c.refresh([...q.columns, ...selection.columns()]);
    if (c !== columns) throw new Error('another sweep was opened');
    if (changed || selection.mask.length < c.rows) selection.apply(c);
    if (generation !== c.generation) densities.clear();
    return { ...counts(), changed, truncated: c.truncated, more: c.more };
  },

  async filter(q) {
    const c = need();
    const where = q.where.trim();
    if (where && (where !== selection.filter.where || !selection.trials)) {
      const response = await fetch(
        `/api/v1/sweeps/${encodeURIComponent(c.sweep)}/filter?${new URLSearchParams({ where })}`,
      );
      if (!response.ok) throw new Error(((await response.json()) as any).error ?? `HTTP ${response.status}`);
      selection.setTrials(readFrame(await response.arrayBuffer()).columns[0].values as Float64Array);
    } else if (!where) {
      selection.setTrials(null);
    }
    selection.filter = { ...q, where };
    const missing = selection.columns().filter((name) => !c.get(name));
    if (missing.length) await c.refresh(missing);
    selection.apply(c);
    return counts();
  },

  extent(q) {
    const out: Record<string, Extent> = {};
    for (const name of q.columns) {
      const c = need().get(name);
      if (!c) continue;
      const [lo, hi] = (q.colour && span(name, false)) || [c.lo, c.hi];
      out[name] = { lo, hi, positive: c.positive, texts: c.texts.length ? c.texts : undefined };
    }
    return out;
  },

  render(q) {
    const began = performance.now();
    const made = picture(q);
    const none = { bitmap: null, how: 'points' as const, inside: 0, rows: need().rows, ms: 0, colourRange: null, countMax: 0 };
    if (!made) return none;
    const { p, colourRange } = made;
    const how = chooseRenderer(q, p.n);
    let bitmap: ImageBitmap | null = null;
    let inside = p.n;
    let countMax = 0;
    if (how === 'gpu' && gpu) {
      bitmap = gpu.draw(p, need().generation, selection.generation);
      gpuTimes.push(performance.now() - began);
      if (gpuTimes.length > 15) gpuTimes.shift();
    }
    if (!bitmap) {
      const canvas = new OffscreenCanvas(p.width, p.height);
      const image = new ImageData(p.width, p.height);
      if (how === 'points') {
        inside = drawDiscs(p, image);
      } else {
        const pair = `${q.x.column}\n${q.y.column}\n${p.width}x${p.height}`;
        const density = densities.get(pair) ?? new Density();
        densities.delete(pair);
        densities.set(pair, density);
        if (densities.size > 12) densities.delete(densities.keys().next().value!);
        const { colour, colourLog, x, y } = q;
        const masked = p.mask ? selection.generation : -1;
        density.draw(p, JSON.stringify([x, y, colour, colourLog, masked, need().generation]), image);
        inside = density.inside;
        countMax = density.countMax;
      }
      bitmap = paint(canvas, image);
    }
    return { bitmap, how, inside, rows: p.n, ms: performance.now() - began, colourRange, countMax };
  },

  near(q) {
    const c = need();
    const place = (a: AxisView, at: number) => {
      const s = c.scaled(a.column, a.log, a.lo, a.hi);
      return s && { s, at: s.lo + at * (s.hi - s.lo), unit: 1 / (s.hi - s.lo || 1) };
    };
    const x = place(q.x, q.px);
    const y = place(q.y, q.py);
    if (!x || !y) return null;
    const { row, distance } = nearest(x.s, y.s, maskOrNull(), c.rows, q.sx * x.unit, q.sy * y.unit, x.at, y.at);
    if (row < 0) return null;
    const cx = c.get(q.x.column)!;
    const cy = c.get(q.y.column)!;
    return { row, trial: c.trials[row], x: cx.data[row] + cx.base, y: cy.data[row] + cy.base, distance };
  },

  async order(q) {
    const began = performance.now();
    const c = need();
    const sorted = c.get(q.column);
    let doubles: Float64Array | null = null;
    if (sorted && !sorted.texts.length && q.column !== 'trial') {
      if (exact?.sweep !== c.sweep || exact.name !== q.column || exact.generation !== c.generation) exact = new ExactColumn(c.sweep, q.column, c.generation);
      doubles = await exact.first(c.rows).catch(() => null);
      if (c !== columns) throw new Error('another sweep was opened');
    }
    const mask = maskOrNull();
    const wanted = q.only ? 2 : 1;
    let n = 0;
    const rows = new Uint32Array(c.rows);
    for (let i = 0; i < c.rows; i++) if (!mask || mask[i] >= wanted) rows[n++] = i;
    let list: Uint32Array = rows.subarray(0, n);
    const column = c.get(q.column);
    if (q.column === 'trial' || !column) {
      if (q.column === 'trial') list = byTrial(c, list, q.descending);
      else if (q.descending) list.reverse();
    } else {
      const places = column.texts.map((t, i) => ({ t, i })).sort((a, b) => (a.t < b.t ? -1 : a.t > b.t ? 1 : 0));
      const rank = column.texts.length ? new Uint32Array(column.texts.length) : null;
      if (rank) places.forEach((p, at) => (rank[p.i] = at));
      // Rows that came while the doubles did wait for the next order.
      list = doubles && doubles.length >= c.rows ? sortExact(list, doubles, q.descending) : sortRows(list, column.data, q.descending, rank);
    }
    order = list;
    return { n, ms: performance.now() - began };
  },

  trials(q) {
    const c = need();
    const rows = order ? order.subarray(q.from, q.to) : new Uint32Array(0);
    const mask = maskOrNull();
    return {
      trials: Array.from(rows, (r) => c.trials[r]),
      selected: Array.from(rows, (r) => (mask ? mask[r] === 2 : false)),
    };
  },

  parallel(q) {
    const began = performance.now();
    const c = need();
    const axes = q.axes.map((a) => {
      const s = c.scaled(a.column, a.log, a.lo, a.hi);
      return s && { ...s, at: a.at };
    });
    if (axes.some((a) => !a) || q.width < 1 || q.height < 1) return { bitmap: null, lines: true, drawn: 0, ms: 0, colourRange: null };
    const canvas = new OffscreenCanvas(q.width, q.height);
    const range = q.colour ? span(q.colour, false) : null;
    const done = drawParallel(canvas.getContext('2d')!, {
      axes: axes.map((a) => a!),
      top: q.top,
      bottom: q.bottom,
      n: c.rows,
      mask: maskOrNull(),
      selected: selection.selected,
      colour: range && c.scaled(q.colour, false, range[0], range[1]),
      ratio: q.ratio,
      dark: q.dark,
    });
    return { bitmap: canvas.transferToImageBitmap(), ...done, ms: performance.now() - began, colourRange: done.lines ? range : null };
  },
};

self.onmessage = async (event: MessageEvent<{ id: number; kind: Kind; q: any }>) => {
  const { id, kind, q } = event.data;
  try {
    const answer = () => handlers[kind](q);
    const loads = kind === 'open' || kind === 'refresh' || kind === 'filter';
    const out: any = await (loads ? (chain = chain.catch(() => 0).then(answer)) : answer());
    (self as unknown as Worker).postMessage({ id, out }, out?.bitmap ? [out.bitmap] : []);
  } catch (e) {
    self.postMessage({ id, error: e instanceof Error ? e.message : String(e) });
  }
};
