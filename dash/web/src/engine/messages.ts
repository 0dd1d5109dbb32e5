// What the page asks of the worker that holds a sweep's columns, and what it answers.

export interface AxisView {
  column: string;
  log: boolean;
  lo: number; // in the column's own unit; on a log axis above 0
  hi: number;
}

export interface Range {
  column: string;
  lo: number;
  hi: number;
}

export interface Lasso {
  x: string;
  y: string;
  xlog: boolean;
  ylog: boolean;
  points: [number, number][]; // in the columns' own units
}

export interface Filter {
  ranges: Range[];
  lasso: Lasso | null;
  where: string; // SQL, evaluated by the server
  feasible: boolean; // hide what breaks a constraint
}

export type Renderer = 'auto' | 'density' | 'points';

export interface RenderRequest {
  width: number; // in device pixels
  height: number;
  ratio: number; // device pixels in a CSS pixel
  x: AxisView;
  y: AxisView;
  colour: string; // a column, or '' for how many points there are
  colourLog: boolean;
  size: string; // a column, or ''
  renderer: Renderer;
  dark: boolean;
}

export interface RenderAnswer {
  bitmap: ImageBitmap | null; // null: the columns are not here yet
  how: 'points' | 'density' | 'gpu';
  inside: number; // points within the axes
  rows: number;
  ms: number;
  colourRange: [number, number] | null;
  countMax: number;
}

export interface Counts {
  rows: number; // that the page holds
  total: number; // that the sweep has
  shown: number; // of those held, not hidden
  selected: number;
  ms: number; // that the last selection took
}

export interface Near {
  row: number;
  trial: number;
  x: number;
  y: number;
  distance: number; // in the units of the given scale
}

export interface Extent {
  lo: number;
  hi: number;
  positive: number; // the least value above 0, or NaN
  texts?: string[];
}

export interface ParallelRequest {
  width: number;
  height: number;
  ratio: number;
  axes: (AxisView & { at: number })[]; // at: the axis' place in device pixels
  top: number;
  bottom: number;
  colour: string;
  dark: boolean;
}

// One entry a kind of request: what goes in, what comes out.
export interface Calls {
  open: { in: { sweep: string; rowsMax: number }; out: { gpu: string } };
  refresh: { in: { columns: string[] }; out: Counts & { changed: boolean; truncated: boolean; more: boolean } };
  filter: { in: Filter; out: Counts };
  extent: { in: { columns: string[]; colour?: boolean }; out: Record<string, Extent> };
  render: { in: RenderRequest; out: RenderAnswer };
  near: { in: { x: AxisView; y: AxisView; sx: number; sy: number; px: number; py: number }; out: Near | null };
  order: { in: { column: string; descending: boolean; only: boolean }; out: { n: number; ms: number } };
  trials: { in: { from: number; to: number }; out: { trials: number[]; selected: boolean[] } };
  parallel: { in: ParallelRequest; out: { bitmap: ImageBitmap | null; lines: boolean; drawn: number; ms: number; colourRange: [number, number] | null } };
}
export type Kind = keyof Calls;
