// The first picture of a large sweep is the server's density. It is asked for as soon as it is known what to draw,
// before anything is laid out, and whatever else would take the processor or the server's time waits for it.
import { getBuffer, sweepUrl, WITHIN_MS } from './client';

export interface Question {
  sweep: string;
  x: string;
  y: string;
  xlog: boolean;
  ylog: boolean;
  feasible: boolean;
}

export const MANY = 100000; // rows take a while to come: the server's density is shown until then
const WAIT_MS = 1500; // what waits does not wait longer

const sideOf = (px: number) => String(Math.min(1024, Math.max(16, Math.round(px / 2))));

export function densityUrl(p: Question, width: number, height: number): string {
  const query = new URLSearchParams({ x: p.x, y: p.y, w: sideOf(width), h: sideOf(height), within_ms: String(WITHIN_MS) });
  if (p.xlog) query.set('xlog', '1');
  if (p.ylog) query.set('ylog', '1');
  if (p.feasible) query.set('feasible', '1');
  return sweepUrl(p.sweep, `/density?${query}`);
}

let early: { key: string; answer: Promise<ArrayBuffer> } | null = null;
const keyOf = (p: Question) => [p.sweep, p.x, p.y, p.xlog, p.ylog, p.feasible].join('\n');

// The plot's size is a guess here: a picture of about that size is stretched to it.
export function askEarly(p: Question): void {
  const answer = getBuffer(densityUrl(p, innerWidth < 860 ? innerWidth - 60 : Math.min(1480, innerWidth) - 480, Math.max(360, innerHeight - 414)));
  answer.catch(() => 0); // whoever takes it hears of it
  early = { key: keyOf(p), answer };
}

// What was asked early, once.
export function takeEarly(p: Question): Promise<ArrayBuffer> | null {
  const found = early?.key === keyOf(p) ? early.answer : null;
  early = null;
  return found;
}

// Until the picture that was asked for early is on the screen, or has failed, or takes too long.
let painted: (() => void) | null = null;
export const whenPainted = () => (early ? new Promise<void>((done) => {
  painted = done;
  setTimeout(done, WAIT_MS);
}) : Promise.resolve());
export function nowPainted() {
  painted?.();
  painted = null;
}
