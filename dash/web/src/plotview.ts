// The part of the data that a scatter shows, and the picture of it that the worker drew last. While it is
// moved, the last picture is moved with it; the next one follows as soon as the worker has it.
import { getBuffer } from './client';
import { ask, latest } from './engine';
import type { AxisView, Range, RenderAnswer, Renderer } from './engine/messages';
import { densityUrl, nowPainted, takeEarly } from './firstlook';
import { readFrame } from './frame';
import { contextTable, countTable, type Rgb } from './palette';
import { fromScaled, toScaled } from './axis';

export interface Ends {
  x: [number, number]; // on log axes: logarithms
  y: [number, number];
}

export interface Look {
  sweep: string;
  x: string;
  y: string;
  xlog: boolean;
  ylog: boolean;
  colour: string;
  colourLog: boolean;
  size: string;
  renderer: Renderer;
  dark: boolean;
  feasible: boolean;
  server: boolean; // the page does not hold all rows: the server's density is shown
  ranges: Range[]; // brushes: the server's density shows what lies in them
  hidden: boolean; // draw no points, only what lies above them
}

export interface Picture {
  image: CanvasImageSource & { width: number; height: number };
  ends: Ends;
  answer: Pick<RenderAnswer, 'how' | 'inside' | 'rows' | 'ms' | 'colourRange' | 'countMax'> & { server: boolean };
}

const axisView = (column: string, log: boolean, [a, b]: [number, number]): AxisView => ({
  column,
  log,
  lo: fromScaled({ log }, a),
  hi: fromScaled({ log }, b),
});

function colourCounts(image: ImageData, counts: Uint32Array, most: number, colours: Rgb[]) {
  const { width: w, height: h } = image;
  const pixels = new Uint32Array(image.data.buffer);
  const table = Uint32Array.from(colours, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
  const scale = 255 / Math.log(Math.max(2, most));
  for (let row = 0; row < h; row++) // the first row is the lowest
    for (let i = row * w, at = (h - 1 - row) * w, end = i + w; i < end; i++, at++)
      if (counts[i]) pixels[at] = table[(Math.log(counts[i]) * scale) | 0];
}

export class PlotView {
  ends: Ends | null = null;
  picture: Picture | null = null;
  look: Look | null = null;
  width = 0; // of the plot's inside, CSS pixels
  height = 0;
  private canvas: HTMLCanvasElement | null = null;
  private frame = 0;
  private serverKey = '';
  private painted: Picture | null = null;

  constructor(private onPicture: () => void) {}

  attach(canvas: HTMLCanvasElement | null) {
    this.canvas = canvas;
    this.painted = null;
    this.paintSoon();
  }

  axes(): { x: AxisView; y: AxisView } | null {
    const { look, ends } = this;
    return look && ends && { x: axisView(look.x, look.xlog, ends.x), y: axisView(look.y, look.ylog, ends.y) };
  }

  readonly render = latest(async () => {
    const { look, ends, width, height } = this;
    const axes = this.axes();
    if (!look || !axes || !ends || width < 1 || height < 1) return;
    try {
      if (look.server) await this.renderServer(look, ends);
      else await this.renderWorker(look, axes, ends);
    } catch {
      return; // the sweep was closed, or its columns are not here yet: the next refresh asks again
    }
    this.paintSoon();
    this.onPicture();
  });

  private async renderWorker(look: Look, axes: { x: AxisView; y: AxisView }, ends: Ends) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const { bitmap, ...answer } = await ask('render', {
      width: Math.round(this.width * ratio),
      height: Math.round(this.height * ratio),
      ratio,
      ...axes,
      colour: look.colour,
      colourLog: look.colourLog,
      size: look.size,
      renderer: look.renderer,
      dark: look.dark,
    });
    if (!bitmap) return;
    if (look !== this.look) {
      bitmap.close();
      return;
    }
    if (this.picture?.image instanceof ImageBitmap) this.picture.image.close();
    this.picture = { image: bitmap, ends, answer: { ...answer, server: false } };
  }

  // What the server counted; also the first picture of a large sweep, before its columns are here.
  async renderServer(look: Look, ends: Ends | null) {
    let url = densityUrl(look, this.width, this.height);
    if (ends) {
      const axes = { x: axisView(look.x, look.xlog, ends.x), y: axisView(look.y, look.ylog, ends.y) };
      for (const k of ['x', 'y'] as const) {
        url += `&${k}0=${axes[k].lo}&${k}1=${axes[k].hi}`;
      }
    }
    const began = performance.now();
    const count = async (bytes: Promise<ArrayBuffer>) => {
      const { meta, columns } = readFrame(await bytes);
      const counts = columns[0].values as Uint32Array;
      return { meta, counts, most: counts.reduce((a, b) => Math.max(a, b), 1) };
    };
    const whole = await count((!ends && takeEarly(look)) || getBuffer(url));
    let top = whole;
    if (look.ranges.length) {
      const brushed = encodeURIComponent(look.ranges.map((r) => `${r.column}:${r.lo}:${r.hi}`).join(','));
      const { x, y } = whole.meta;
      top = await count(getBuffer(`${densityUrl(look, this.width, this.height)}&ranges=${brushed}&x0=${x[0]}&x1=${x[1]}&y0=${y[0]}&y1=${y[1]}`));
    }
    const { meta, most } = top;
    if (look !== this.look || (this.picture && !this.picture.answer.server && !look.server)) return;
    const canvas = document.createElement('canvas');
    canvas.width = meta.w;
    canvas.height = meta.h;
    const image = new ImageData(meta.w, meta.h);
    if (top !== whole) colourCounts(image, whole.counts, whole.most, contextTable(look.dark));
    colourCounts(image, top.counts, most, countTable(look.dark));
    canvas.getContext('2d')!.putImageData(image, 0, 0);
    const scaledEnds = (k: 'x' | 'y', log: boolean) => meta[k].map((v: number) => toScaled({ log }, v)) as [number, number];
    this.picture = {
      image: canvas,
      ends: { x: scaledEnds('x', look.xlog), y: scaledEnds('y', look.ylog) },
      answer: { how: 'density', inside: meta.inside, rows: meta.rows, ms: performance.now() - began, colourRange: null, countMax: most, server: true },
    };
    this.paintSoon();
    this.onPicture();
  }

  // The first picture, once for a set of axes.
  firstPicture() {
    const look = this.look;
    const key = look ? [look.sweep, look.x, look.y, look.xlog, look.ylog].join('\n') : '';
    if (!look || key === this.serverKey || this.width < 1) return;
    this.serverKey = key;
    this.renderServer(look, this.ends).catch(nowPainted);
  }

  paintSoon() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  // A picture is drawn once; moving and zooming are left to the browser's compositor.
  private paint() {
    this.frame = 0;
    const { canvas, picture, ends, width, height } = this;
    if (!canvas || width < 1) return;
    const shown = this.look?.hidden ? null : picture;
    if (this.painted !== shown) {
      this.painted = shown;
      const image = shown?.image;
      canvas.width = image?.width ?? 1;
      canvas.height = image?.height ?? 1;
      if (image) canvas.getContext('2d')!.drawImage(image, 0, 0);
      if (shown?.answer.server) setTimeout(nowPainted); // after this frame
    }
    if (!shown) return;
    const now = ends ?? shown.ends;
    const zx = (shown.ends.x[1] - shown.ends.x[0]) / (now.x[1] - now.x[0]);
    const zy = (shown.ends.y[1] - shown.ends.y[0]) / (now.y[1] - now.y[0]);
    const left = ((shown.ends.x[0] - now.x[0]) / (now.x[1] - now.x[0])) * width;
    const top = ((now.y[1] - shown.ends.y[1]) / (now.y[1] - now.y[0])) * height;
    const still = Math.abs(left) < 0.3 && Math.abs(top) < 0.3 && Math.abs(zx - 1) < 1e-3 && Math.abs(zy - 1) < 1e-3;
    canvas.style.transform = still ? 'none' : `translate(${left}px, ${top}px) scale(${zx}, ${zy})`;
  }

  stop() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.canvas = null;
    if (this.picture?.image instanceof ImageBitmap) this.picture.image.close();
    this.picture = null;
  }
}
