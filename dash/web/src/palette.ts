// Colours that people with any colour vision tell apart: cividis (Nunez, Anderton, Renslow 2018) for
// amounts, Okabe and Ito's set (2008) for kinds. Used in the worker and in the page.

// Nine samples of cividis, evenly spaced; linear between them is within 2 of 255 of the full table.
const CIVIDIS = ['#00224e', '#123570', '#3b496c', '#575d6d', '#707173', '#8a8678', '#a59c74', '#c3b369', '#fee838'];

export const OKABE_ITO = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7a6f00', '#8c8c8c'];

export type Rgb = [number, number, number];

export function rgb(hex: string): Rgb {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as Rgb;
}

function between(stops: Rgb[], t: number): Rgb {
  const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  return stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (at - i))) as Rgb;
}

function table(stops: string[], from: number, to: number): Rgb[] {
  const parsed = stops.map(rgb);
  return Array.from({ length: 256 }, (_, i) => between(parsed, from + ((to - from) * i) / 255));
}

// The end that would vanish on the paper is left out.
export const valueTable = (dark: boolean) => (dark ? table(CIVIDIS, 0.22, 1) : table(CIVIDIS, 0, 0.93));
export const countTable = (dark: boolean) =>
  dark ? table(['#2e4458', '#5b82a6', '#a9cbe8', '#f2f8fd'], 0, 1) : table(['#b4c6d6', '#6f93b3', '#31608c', '#0b2545'], 0, 1);
export const contextTable = (dark: boolean) =>
  dark ? table(['#20252a', '#3e454b'], 0, 1) : table(['#e9ebec', '#c3c8cb'], 0, 1);

export const cssColour = (c: Rgb) => `rgb(${c[0]},${c[1]},${c[2]})`;

export interface Theme {
  paper: string;
  ink: string;
  muted: string;
  rule: string;
  front: string;
  select: string;
  point: string;
}
export const themeOf = (dark: boolean): Theme =>
  dark
    ? { paper: '#131517', ink: '#e8e9ea', muted: '#a3a9ae', rule: '#2c3033', front: '#ff8a3d', select: '#6cc0f5', point: '#7fb2dc' }
    : { paper: '#ffffff', ink: '#1a1c1e', muted: '#5a6066', rule: '#e4e6e7', front: '#c44f00', select: '#0067a5', point: '#2f6797' };
