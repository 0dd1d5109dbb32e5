// The server's interface, as far as the page uses it: dash/openapi.yaml.

export type Role = 'param' | 'metric' | 'derived' | 'system' | string;
export type Goal = 'min' | 'max' | '' | 'none';

export interface ColumnInfo {
  name: string;
  role: Role;
  type: string;
  unit: string;
  doc: string;
  class: string;
  goal: Goal;
  sql: string;
  resident: boolean;
}

export interface SweepSummary {
  id: number;
  name: string;
  job: string;
  job_version: string;
  state: string;
  reason: string;
  priority: number;
  points: number;
  positions: number;
  recorded: number;
  holes: number;
  failed: number;
  created_ms: number;
  updated_ms: number;
  busy_s: number;
  rate: number | null; // settled trials a second, lately
  eta_s: number | null;
}

export interface Schema extends SweepSummary {
  plan: string;
  columns: ColumnInfo[];
  objectives: { name: string; goal: 'min' | 'max' }[];
  constraints: string[];
}

// A number; infinities come as texts, since JSON has none.
export type Num = number | string | null;
export const num = (v: Num | undefined): number =>
  typeof v === 'number' ? v : v === null || v === undefined ? NaN : /^\+?inf/i.test(v) ? Infinity : /^-inf/i.test(v) ? -Infinity : Number(v);

export interface Objective {
  name: string;
  goal: 'min' | 'max';
}

// How long the server may read a sweep's file before it answers about the rows that it has: a large sweep comes
// in parts, and nobody waits for all of it.
export const WITHIN_MS = 100;

export interface Front {
  rows: number;
  recorded: number;
  size: number;
  considered: number;
  infeasible: number;
  without_value: number;
  by_point: boolean;
  objectives: Objective[];
  trials: number[];
  values: Num[]; // a row of objectives for each trial
  sd: (number | null)[];
  repeats: number[];
  knee: number | null;
  reference: (number | null)[];
  hypervolume: number | null;
}

export interface History {
  objectives: Objective[];
  reference: number[];
  rows: number[];
  at_ms: number[];
  size: number[];
  hypervolume: (number | null)[]; // null: not to be computed
}

export interface Live {
  uptime_s: number;
  cpu_s: number;
  committed: number;
  commits: number;
  duplicates: number;
  differing: number;
  sweeps: { name: string; leased: number; retrying: number; workers: number }[];
  workers: LiveWorker[];
}

export interface LiveWorker {
  session: string;
  host: string;
  pid: number;
  version: string;
  cpus: number;
  gpus: number;
  memory_bytes: number;
  leases: number;
  running: number;
  settled: number;
  heard_ms_ago: number;
  lost: boolean;
}

export interface Status {
  workers: number;
  lost: number;
  cpus: number;
  running: number;
  leased: number;
  uncommitted: number;
}

export interface Info {
  version: string;
  store: string;
  live: boolean;
  commands: boolean;
  authorized: boolean;
  listen: string;
}

export interface Failure {
  kind: string;
  reason: string;
  attempts: number;
  at_ms: number;
  log: string | null;
}

export interface TrialPage {
  trial: number;
  point: number;
  row: Record<string, unknown> | null;
  curve: { name: string; step: number; value: number | null }[];
  artifacts: { name: string; bytes: number }[];
  failures: Failure[];
  attempts: Failure[];
  environment: string | null;
  again: string | null;
}

export interface Failures {
  groups: { kind: string; reason: string; n: number; first: number; last_ms: number }[];
  failures: { trial: number; kind: string; reason: string; attempts: number; at_ms: number }[];
}

export interface Environment {
  id: number | null;
  trials: number;
  busy_s: number | null;
  json: string | null;
}

export interface Importance {
  metric: string;
  n: number;
  parameters: { name: string; share: number }[];
}

export interface Slice {
  x: string;
  y: string;
  distinct: boolean;
  bins: {
    low: number | null;
    high: number | null;
    text: string | null;
    n: number;
    mean: number;
    min: number;
    q25: number;
    median: number;
    q75: number;
    max: number;
  }[];
}

export interface Comparison {
  objectives: Objective[];
  reference: number[];
  hypervolume: number;
  sweeps: {
    name: string;
    rows: number;
    size: number;
    hypervolume: number;
    joint: number;
    coverage: number[];
    trials: number[];
    values: (number | null)[];
    on_joint: boolean[];
  }[];
}

export interface Summary {
  rows: number;
  more: boolean;
  columns: { name: string; n: number; min: Num; max: Num; above_zero: Num; choices: (string | number)[] | null }[];
}

export interface Rows {
  total: number;
  offset: number;
  snapshot: number;
  rows: Record<string, any>[];
}

export const sweepUrl = (name: string, tail = '') => `/api/v1/sweeps/${encodeURIComponent(name)}${tail}`;

async function failure(response: Response): Promise<Error> {
  const text = await response.text();
  let message = `${response.status} ${response.statusText}`;
  try {
    message = JSON.parse(text).error ?? message;
  } catch {
    // not JSON: the status line says enough
  }
  return Object.assign(new Error(message), { status: response.status });
}

export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw await failure(response);
  return (await response.json()) as T;
}

export async function getBuffer(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw await failure(response);
  return response.arrayBuffer();
}

export async function command(sweep: string, verb: string, value?: number): Promise<void> {
  const query = value === undefined ? '' : `?value=${value}`;
  const response = await fetch(sweepUrl(sweep, `/${verb}${query}`), { method: 'POST' });
  if (!response.ok) throw await failure(response);
}

const ROWS_A_REQUEST = 800;

// Exact values of some trials, in the order asked for; what the server does not have is null.
export async function rowsOf(sweep: string, trials: number[], columns?: string[]): Promise<(Record<string, any> | null)[]> {
  const byTrial = new Map<number, Record<string, any>>();
  for (let i = 0; i < trials.length; i += ROWS_A_REQUEST) {
    const ids = trials.slice(i, i + ROWS_A_REQUEST);
    const query = new URLSearchParams({ ids: ids.join(','), limit: String(ids.length) });
    if (columns) query.set('columns', columns.join(','));
    for (const row of (await getJson<Rows>(sweepUrl(sweep, `/rows?${query}`))).rows) byTrial.set(row.trial, row);
  }
  return trials.map((t) => byTrial.get(t) ?? null);
}
