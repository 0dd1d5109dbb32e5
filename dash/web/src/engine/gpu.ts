// Draws points with WebGL2, where there is a real GPU: on a software renderer a million points take a
// second, and the density of raster.ts is the better picture anyway.
import { contextTable, themeOf, rgb, valueTable } from '../palette';
import type { Picture } from './raster';

const VERTEX = `#version 300 es
uniform vec4 view;   // x0, y0, 1/width, 1/height of the axes
uniform vec2 scale;  // the colour scale's least value and 1/range; 0 range: one colour
uniform vec2 sizes;  // the size scale's least value and 1/range
uniform float radius;
uniform bool masked, sized;
in float x, y, value, weight, chosen;
flat out float shade, state;
void main() {
  vec2 p = (vec2(x, y) - view.xy) * view.zw;
  state = masked ? chosen : 2.0;
  bool off = state < 0.5 || !(p.x >= -0.1 && p.x <= 1.1 && p.y >= -0.1 && p.y <= 1.1);
  gl_Position = off ? vec4(2.0, 2.0, 2.0, 1.0) : vec4(p * 2.0 - 1.0, state < 1.5 ? 0.5 : 0.0, 1.0);
  gl_PointSize = sized ? radius * sqrt(1.0 + 12.0 * clamp((weight - sizes.x) * sizes.y, 0.0, 1.0)) : radius;
  shade = (value - scale.x) * scale.y;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D table;
uniform vec4 plain, dim;
uniform bool valued;
flat in float shade, state;
out vec4 colour;
void main() {
  float d = length(gl_PointCoord - 0.5);
  float a = 1.0 - smoothstep(0.35, 0.5, d);
  vec4 c = state < 1.5 ? dim : valued ? vec4(texture(table, vec2(clamp(shade, 0.0, 1.0), 0.5)).rgb, plain.a) : plain;
  colour = vec4(c.rgb, 1.0) * c.a * a;
}`;

interface Buffered {
  buffer: WebGLBuffer;
  source: Float32Array | Uint8Array;
  rows: number;
  stamp: number;
}

export class Gpu {
  readonly name: string;
  readonly real: boolean;
  private gl: WebGL2RenderingContext | null;
  private canvas: OffscreenCanvas;
  private program: WebGLProgram | null = null;
  private buffers = new Map<string, Buffered>();

  constructor() {
    this.canvas = new OffscreenCanvas(1, 1);
    this.gl = this.canvas.getContext('webgl2', { antialias: false, premultipliedAlpha: true, failIfMajorPerformanceCaveat: false });
    const info = this.gl?.getExtension('WEBGL_debug_renderer_info');
    this.name = this.gl ? String(this.gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : this.gl.RENDERER)) : 'none';
    this.real = !!this.gl && !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(this.name);
  }

  private compile(gl: WebGL2RenderingContext): WebGLProgram {
    const program = gl.createProgram()!;
    for (const [type, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
      const shader = gl.createShader(type)!;
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`WebGL: ${gl.getProgramInfoLog(program)}`);
    return program;
  }

  // A column goes up once; rows that were added to it follow alone.
  private upload(gl: WebGL2RenderingContext, name: string, data: Float32Array | Uint8Array, rows: number, stamp: number) {
    let b = this.buffers.get(name);
    if (!b) this.buffers.set(name, (b = { buffer: gl.createBuffer()!, source: data.subarray(0, 0), rows: 0, stamp: -1 }));
    gl.bindBuffer(gl.ARRAY_BUFFER, b.buffer);
    if (b.source.buffer !== data.buffer || b.stamp !== stamp) {
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    } else if (b.rows < rows) {
      gl.bufferSubData(gl.ARRAY_BUFFER, b.rows * data.BYTES_PER_ELEMENT, data.subarray(b.rows, rows));
    }
    Object.assign(b, { source: data, rows, stamp });
  }

  private attribute(gl: WebGL2RenderingContext, name: string, data: Float32Array | Uint8Array | null, rows: number, stamp: number) {
    const at = gl.getAttribLocation(this.program!, name);
    if (at < 0) return;
    if (!data) {
      gl.disableVertexAttribArray(at);
      gl.vertexAttrib1f(at, 0);
      return;
    }
    this.upload(gl, name, data, rows, stamp);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 1, data instanceof Uint8Array ? gl.UNSIGNED_BYTE : gl.FLOAT, false, 0, 0);
  }

  // generation and selection change when columns or the mask were rewritten rather than appended to.
  draw(p: Picture, generation: number, selection: number): ImageBitmap | null {
    const gl = this.gl;
    if (!gl || gl.isContextLost()) return null;
    if (!this.program) {
      this.program = this.compile(gl);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    }
    this.canvas.width = p.width;
    this.canvas.height = p.height;
    gl.viewport(0, 0, p.width, p.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.attribute(gl, 'x', p.x.data, p.n, generation);
    this.attribute(gl, 'y', p.y.data, p.n, generation);
    this.attribute(gl, 'value', p.colour?.data ?? null, p.n, generation);
    this.attribute(gl, 'weight', p.size?.data ?? null, p.n, generation);
    this.attribute(gl, 'chosen', p.mask, p.n, selection);
    this.uniforms(gl, p);
    gl.drawArrays(gl.POINTS, 0, p.n);
    return this.canvas.transferToImageBitmap();
  }

  private uniforms(gl: WebGL2RenderingContext, p: Picture) {
    const at = (name: string) => gl.getUniformLocation(this.program!, name);
    const unit = (c: [number, number, number], a: number) => [c[0] / 255, c[1] / 255, c[2] / 255, a] as const;
    gl.uniform4f(at('view'), p.x.lo, p.y.lo, 1 / (p.x.hi - p.x.lo), 1 / (p.y.hi - p.y.lo));
    gl.uniform2f(at('scale'), p.colour?.lo ?? 0, p.colour ? 1 / (p.colour.hi - p.colour.lo || 1) : 0);
    gl.uniform2f(at('sizes'), p.size?.lo ?? 0, p.size ? 1 / (p.size.hi - p.size.lo || 1) : 0);
    gl.uniform1f(at('radius'), p.ratio * (p.n > 200000 ? 1.6 : p.n > 30000 ? 2.5 : 4));
    gl.uniform1i(at('masked'), p.mask ? 1 : 0);
    gl.uniform1i(at('sized'), p.size ? 1 : 0);
    gl.uniform1i(at('valued'), p.colour ? 1 : 0);
    gl.uniform4f(at('plain'), ...unit(rgb(themeOf(p.dark).point), p.n > 200000 ? 0.35 : 0.6));
    gl.uniform4f(at('dim'), ...unit(contextTable(p.dark)[160], 0.3));
    const table = new Uint8Array(valueTable(p.dark).flatMap(([r, g, b]) => [r, g, b, 255]));
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
  }
}
