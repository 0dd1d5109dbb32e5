// Numbers as people read them.

const PREFIXES: [number, string][] = [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, ''], [1e-3, 'm'], [1e-6, 'µ'],
  [1e-9, 'n'], [1e-12, 'p'], [1e-15, 'f']];
// Units that take a prefix; a percentage or a ratio does not.
const SCALED = new Set(['s', 'J', 'W', 'Hz', 'B', 'bit', 'V', 'A', 'm', 'g', 'FLOP', 'FLOPS', 'B/s', 'J*s', 'Js', 'J s', 'FLOP/s', '1/s']);
// What is counted: nobody says kilocycles. Large numbers of these have a power of ten, or a letter after them.
const COUNTED = new Set(['', 'byte', 'bytes', 'bits', 'op', 'ops', 'flop', 'flops', 'cycle', 'cycles', 'MAC', 'MACs', 'sample', 'samples', 'op/s', 'ops/s']);
const MANY = 1e6;

const trim = (text: string) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
const minus = (text: string) => text.replace('-', '−');

export function plain(x: number, digits = 4): string {
  if (Number.isNaN(x)) return 'not a number';
  if (!Number.isFinite(x)) return x > 0 ? '∞' : '−∞';
  const a = Math.abs(x);
  if (x === 0) return '0';
  if (a >= 1e15 || a < 1e-4) {
    const [m, e] = x.toExponential(Math.max(0, digits - 1)).split('e');
    return minus(`${trim(m)}e${Number(e)}`);
  }
  if (Number.isInteger(x) && a < 1e15) return minus(group(x));
  return minus(trim(x.toPrecision(Math.max(digits, Math.ceil(Math.log10(a + 1))))));
}

// Few digits, whatever the size.
export function brief(x: number): string {
  if (!(Math.abs(x) >= 1e7)) return plain(x, 4);
  const [m, e] = x.toExponential(3).split('e');
  return minus(`${trim(m)}e${Number(e)}`);
}

export const superscript = (n: number) => String(n).replace(/[-\d]/g, (c) => (c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(c)]));

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 }); // made once: making one takes longer than using it
export const group = (x: number) => WHOLE.format(x);

export function prefixFor(x: number): [number, string] {
  const a = Math.abs(x);
  if (!(a > 0) || !Number.isFinite(a)) return [1, ''];
  return PREFIXES.find(([f]) => a >= f * 0.9999) ?? PREFIXES[PREFIXES.length - 1];
}

// A value with its unit: 12.4 mJ, 3.1 k, 0.87.
export function withUnit(x: number, unit: string, digits = 4): string {
  if (!Number.isFinite(x)) return plain(x);
  const scaled = SCALED.has(unit) || (COUNTED.has(unit) && Math.abs(x) >= MANY);
  if (!scaled) return unit ? `${plain(x, digits)} ${unit}` : plain(x, digits);
  const [factor, prefix] = prefixFor(x);
  const between = COUNTED.has(unit) && unit ? ' ' : '';
  return `${minus(trim((x / factor).toPrecision(digits)))}${prefix || unit ? ' ' : ''}${prefix}${between}${unit}`.trimEnd();
}

export const counted = (unit: string) => COUNTED.has(unit);

export function axisPrefix(lo: number, hi: number, unit: string): [number, string] {
  const most = Math.max(Math.abs(lo), Math.abs(hi));
  if (!SCALED.has(unit) && !(COUNTED.has(unit) && (most >= MANY || most < 1e-3))) return [1, ''];
  return prefixFor(most);
}

// What an axis says: 'energy_j, mJ'. Of what is counted a prefix is a power of ten: 'macs, 10⁹ MACs'.
export function axisTitle(name: string, unit: string, [factor, prefix]: [number, string]): string {
  const power = prefix && COUNTED.has(unit) ? `10${superscript(Math.round(Math.log10(factor)))}` : '';
  const said = unit === name ? '' : unit;
  if (power) return `${name}, ${said ? `${power} ${said}` : `×${power}`}`;
  return said || prefix ? `${name}, ${prefix}${unit}` : name;
}

export function duration(s: number | null | undefined): string {
  if (s === null || s === undefined || !Number.isFinite(s) || s < 0) return '–';
  if (s === 0) return '0 s';
  if (s < 1e-3) return `${s < 1e-5 ? trim((s * 1e6).toPrecision(2)) : Math.round(s * 1e6)} µs`;
  if (s < 1) return `${s < 0.01 ? trim((s * 1e3).toPrecision(2)) : Math.round(s * 1000)} ms`;
  if (s < 60) return `${s < 10 ? trim(s.toFixed(1)) : Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const bytes = (n: number) => withUnit(n, 'B', 3);
export const rate = (x: number) => (x >= 1e5 ? withUnit(x, '', 3) : plain(x, x >= 100 ? 3 : 2)) + ' /s';
export const percent = (x: number, digits = -1) => {
  if (digits >= 0) return `${(100 * x).toFixed(digits)} %`;
  return `${x >= 0.9995 && x < 1 ? '99.9' : trim((100 * x).toFixed(x < 0.1 ? 1 : 0))} %`;
};

const MOMENT = new Intl.DateTimeFormat('en-GB', { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
export function when(ms: number): string {
  return ms > 0 ? MOMENT.format(ms) : '–';
}

export function ago(ms: number): string {
  const s = Math.max(0, (Date.now() - ms) / 1000);
  return s < 2 ? 'now' : `${duration(s).replace(/ \d+ (s|min|h)$/, (m, u) => (s >= 600 && u !== 'h' ? '' : m))} ago`;
}

// A value of a row, exactly; long whole numbers in groups of three digits.
export function exact(v: unknown): string {
  if (v === null || v === undefined) return '–';
  if (typeof v === 'number') return minus(Number.isSafeInteger(v) && Math.abs(v) >= 1e5 ? group(v) : String(v));
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  return String(v);
}
