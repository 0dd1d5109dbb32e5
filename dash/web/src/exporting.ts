// Exports of exactly what is shown: rows as CSV or JSON, figures as SVG or PNG.
import { rowsOf, sweepUrl } from './client';
import { ask } from './engine';
import { onlySelected } from './filterbar';
import { filter } from './route';
import * as s from './sweepstate';
import { sorting, tableColumns } from './table';

function save(name: string, blob: Blob) {
  const url = URL.createObjectURL(blob);
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// RFC 4180; a text that a spreadsheet would take for a formula is quoted with an apostrophe.
function csvField(v: unknown): string {
  if (v === null || v === undefined) return '';
  if (typeof v === 'number') return String(v);
  const text = /^[=+\-@\t\r]/.test(String(v)) ? `'${v}` : String(v);
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

const BY_TRIAL_MAX = 20000; // more rows are one export by the server, if SQL can say which

const sqlName = (name: string) => `"${name.replace(/"/g, '""')}"`;

// The selection as SQL; null where it cannot be said (a lasso, a range over texts).
function asSql(): string | null {
  const f = filter.value;
  if (f.lasso || f.ranges.some((r) => s.column(r.column)?.type === 'text' || r.column.startsWith('sky_'))) return null;
  const parts = f.ranges.map((r) => `${sqlName(r.column)} BETWEEN ${r.lo} AND ${r.hi}`);
  if (f.where) parts.push(`(${f.where})`);
  if (f.feasible) parts.push(...(s.schema.value?.constraints ?? []).map((c) => `(${c})`));
  return parts.join(' AND ');
}

export async function exportRows(format: 'csv' | 'json', onProgress: (done: number, of: number) => void) {
  const { column, descending } = sorting();
  const names = ['trial', ...tableColumns().map((c) => c.name)];
  const only = onlySelected();
  const { n } = await ask('order', { column, descending, only });
  const sql = only || filter.value.feasible ? asSql() : '';
  if (s.truncated.value || (n > BY_TRIAL_MAX && sql !== null)) {
    const query = new URLSearchParams({ format, columns: names.join(',') });
    if (sql) query.set('where', sql);
    if (column && s.column(column)) query.set('order', descending ? `${column}:desc` : column);
    const a = document.createElement('a');
    a.href = sweepUrl(s.name.value, `/export?${query}`);
    a.download = `${s.name.value}.${format}`;
    a.click();
    return n;
  }
  const rows: Record<string, unknown>[] = [];
  for (let from = 0; from < n; from += 400) {
    const { trials } = await ask('trials', { from, to: Math.min(n, from + 400) });
    for (const row of await rowsOf(s.name.value, trials)) if (row) rows.push(Object.fromEntries(names.map((k) => [k, row[k] ?? null])));
    onProgress(rows.length, n);
  }
  const text = format === 'json' ? `${JSON.stringify(rows, null, 1)}\n`
    : `${[names.map(csvField), ...rows.map((r) => names.map((k) => csvField(r[k])))].map((r) => r.join(',')).join('\r\n')}\r\n`;
  save(`${s.name.value}.${format}`, new Blob([text], { type: format === 'json' ? 'application/json' : 'text/csv' }));
  return n;
}

const KEPT = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity', 'fill-opacity', 'font-size', 'font-weight', 'stroke-linejoin'];

// The figure without the style sheet: what it says is written into each element.
function standalone(plot: HTMLElement): { text: string; width: number; height: number } | null {
  if (!plot.querySelector('svg.figure')) return null;
  const outer = plot.getBoundingClientRect();
  const ns = 'http://www.w3.org/2000/svg';
  const out = document.createElementNS(ns, 'svg');
  const paper = document.createElementNS(ns, 'rect');
  paper.setAttribute('width', '100%');
  paper.setAttribute('height', '100%');
  paper.setAttribute('fill', getComputedStyle(document.documentElement).getPropertyValue('--paper').trim() || '#fff');
  out.append(paper);
  const { width, height } = outer;
  for (const [k, v] of Object.entries({ xmlns: ns, width, height, viewBox: `0 0 ${width} ${height}`, 'font-family': 'Inter, Helvetica, Arial, sans-serif' }))
    out.setAttribute(k, String(v));
  for (const layer of plot.querySelectorAll<SVGSVGElement | HTMLCanvasElement>('svg.figure, canvas')) {
    const r = layer.getBoundingClientRect();
    if (layer instanceof HTMLCanvasElement) {
      const image = document.createElementNS(ns, 'image');
      for (const [k, v] of Object.entries({ x: r.left - outer.left, y: r.top - outer.top, width: r.width, height: r.height, href: layer.toDataURL('image/png') }))
        image.setAttribute(k, String(v));
      out.append(image);
      continue;
    }
    const g = document.createElementNS(ns, 'g');
    g.setAttribute('transform', `translate(${r.left - outer.left},${r.top - outer.top})`);
    for (const child of layer.children) g.append(inlined(child));
    out.append(g);
  }
  return { text: new XMLSerializer().serializeToString(out), width, height };
}

function inlined(e: Element): Element {
  const copy = e.cloneNode(false) as Element;
  const style = getComputedStyle(e);
  for (const key of KEPT) {
    const v = style.getPropertyValue(key);
    if (v) copy.setAttribute(key, v);
  }
  copy.removeAttribute('class');
  copy.removeAttribute('style');
  for (const child of e.childNodes) copy.append(child instanceof Element ? inlined(child) : child.cloneNode());
  return copy;
}

export async function exportFigure(format: 'svg' | 'png') {
  const plot = document.querySelector<HTMLElement>('[data-figure]');
  const made = plot && standalone(plot);
  if (!made) throw new Error('there is no figure here');
  const blob = new Blob([made.text], { type: 'image/svg+xml' });
  if (format === 'svg') return save(`${s.name.value || 'skyline'}.svg`, blob);
  const url = URL.createObjectURL(blob);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(made.width * 2);
    canvas.height = Math.round(made.height * 2);
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    const png = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (!png) throw new Error('the browser made no PNG');
    save(`${s.name.value || 'skyline'}.png`, png);
  } finally {
    URL.revokeObjectURL(url);
  }
}

