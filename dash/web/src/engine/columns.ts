// A sweep's columns as the worker holds them: they grow as results come, and only those that a view
// has asked for are loaded.
import { readFrame, type FrameColumn } from '../frame';

export interface Column {
  name: string;
  base: number; // add it to a value to have the true one
  data: Float32Array;
  have: number; // rows
  texts: string[];
  lo: number; // of the true, finite values
  hi: number;
  positive: number; // the least above 0
  log: Float32Array | null; // log10 of the true values, made when a log axis wants it
  logHave: number;
}

const FIRST_ROWS = 1 << 14;
const WITHIN_MS = 100; // the server answers with what it could read in this time

const grown = <T extends Float32Array | Float64Array>(old: T, make: (n: number) => T, rows: number): T => {
  if (rows <= old.length) return old;
  const next = make(Math.max(FIRST_ROWS, rows, Math.ceil(old.length * 1.6)));
  next.set(old as any);
  return next;
};

export class Columns {
  epoch = '0';
  rows = 0; // every loaded column has at least so many
  total = 0; // that the sweep has
  served = 0; // of those, that the server has read by now
  more = false; // the server would have more, were it asked again
  truncated = false;
  generation = 0; // another number whenever rows are not merely appended
  trials = new Float64Array(0);
  private trialsHave = 0;
  private map = new Map<string, Column>();

  constructor(readonly sweep: string, readonly rowsMax: number) {}

  get(name: string): Column | undefined {
    return this.map.get(name);
  }

  // Loads what is new of the wanted columns and of those already here. True: something changed.
  async refresh(wanted: string[]): Promise<boolean> {
    const before = this.served;
    let changed = false;
    for (let again = true; again; ) {
      again = false;
      // A page that holds all that it may asks only how many there are.
      const groups = this.groups(wanted);
      if ([...groups.keys()].every((have) => have >= this.rowsMax)) {
        changed = again = (await this.ask(this.rowsMax, [], 0)) === 'reset';
        continue;
      }
      for (const [have, names] of groups) {
        const answer = await this.fetchSince(have, names);
        if (answer === 'reset') {
          changed = again = true;
          break;
        }
        changed = changed || answer.rows > 0;
        again = again || answer.cut;
      }
    }
    const wantedRows = [...this.map.values()].map((c) => c.have);
    const rows = Math.min(this.trialsHave, ...wantedRows);
    this.truncated = this.total > this.rowsMax;
    changed = changed || rows !== this.rows || (this.truncated && this.served !== before);
    this.rows = rows;
    return changed;
  }

  // Columns that have the same number of rows come in one answer.
  private groups(wanted: string[]): Map<number, string[]> {
    const groups = new Map<number, string[]>();
    if (!this.map.size && !wanted.length) groups.set(this.trialsHave, []);
    for (const name of new Set([...this.map.keys(), ...wanted])) {
      const have = this.map.get(name)?.have ?? 0;
      groups.set(have, [...(groups.get(have) ?? []), name]);
    }
    return groups;
  }

  private async fetchSince(have: number, names: string[]): Promise<{ rows: number; cut: boolean } | 'reset'> {
    return have >= this.rowsMax ? { rows: 0, cut: false } : this.ask(have, names, this.rowsMax - have);
  }

  private async ask(have: number, names: string[], limit: number): Promise<{ rows: number; cut: boolean } | 'reset'> {
    const query = new URLSearchParams({
      columns: names.join(','),
      since: String(have),
      epoch: this.epoch,
      limit: String(limit),
      within_ms: String(WITHIN_MS),
    });
    const response = await fetch(`/api/v1/sweeps/${encodeURIComponent(this.sweep)}/columns?${query}`);
    if (!response.ok) throw new Error(((await response.json()) as any).error ?? `HTTP ${response.status}`);
    const frame = readFrame(await response.arrayBuffer());
    const epoch = String(frame.meta.epoch);
    this.total = Math.max(frame.meta.recorded, frame.meta.rows);
    this.served = frame.meta.rows;
    this.more = frame.meta.more;
    if (epoch !== this.epoch) {
      const began = this.epoch === '0';
      this.forget(epoch);
      // The first answer of all is whole whatever was asked for.
      if (!began || have > 0) return 'reset';
    }
    const first = frame.meta.first as number;
    for (const c of frame.columns) {
      if (c.name === 'trial') this.addTrials(c, first, frame.rows);
      else this.add(c, first, frame.rows);
    }
    for (const name of names) if (!this.map.get(name)) throw new Error(`the server sent no column ${name}`);
    // A long answer comes in parts.
    return { rows: frame.rows, cut: frame.rows > 0 && frame.meta.next < Math.min(frame.meta.rows, this.rowsMax) };
  }

  private forget(epoch: string) {
    this.epoch = epoch;
    this.generation++;
    this.rows = this.trialsHave = 0;
    this.map.clear();
  }

  private addTrials(c: FrameColumn, first: number, n: number) {
    if (first + n <= this.trialsHave) return;
    this.trials = grown(this.trials, (m) => new Float64Array(m), first + n);
    this.trials.set(c.values, first);
    this.trialsHave = first + n;
  }

  private add(c: FrameColumn, first: number, n: number) {
    let column = this.map.get(c.name);
    if (!column) {
      column = { name: c.name, base: c.base, data: new Float32Array(0), have: 0, texts: [], lo: Infinity, hi: -Infinity,
        positive: Infinity, log: null, logHave: 0 };
      this.map.set(c.name, column);
    }
    if (c.texts) column.texts = c.texts;
    column.data = grown(column.data, (m) => new Float32Array(m), first + n);
    const shift = c.base - column.base;
    const { data, base } = column;
    const values = c.values;
    let { lo, hi, positive } = column;
    for (let i = 0; i < n; i++) {
      const v = values[i] + shift;
      const x = v + base;
      data[first + i] = v;
      if (x - x !== 0) continue; // not finite
      if (x < lo) lo = x;
      if (x > hi) hi = x;
      if (x > 0 && x < positive) positive = x;
    }
    Object.assign(column, { lo, hi, positive, have: first + n });
  }

  // Values to place on an axis, and the axis' ends in the same terms.
  scaled(name: string, log: boolean, lo: number, hi: number): { data: Float32Array; lo: number; hi: number } | null {
    const c = this.map.get(name);
    if (!c) return null;
    if (!log) return { data: c.data, lo: lo - c.base, hi: hi - c.base };
    if (!c.log || c.log.length < c.data.length) {
      const next = new Float32Array(c.data.length);
      if (c.log) next.set(c.log.subarray(0, c.logHave));
      c.log = next;
    }
    for (let i = c.logHave; i < c.have; i++) c.log[i] = Math.log10(c.data[i] + c.base); // NaN at 0 or less: off the axis
    c.logHave = c.have;
    return { data: c.log, lo: Math.log10(lo), hi: Math.log10(hi) };
  }
}
