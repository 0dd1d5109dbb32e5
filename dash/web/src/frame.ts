// Reads the columns that the server sends: docs/columns.md. No value is copied: the arrays are views.

export interface FrameColumn {
  name: string;
  base: number; // what the sender took off each value
  values: Float32Array | Float64Array | Uint32Array;
  texts?: string[]; // of a column of texts: values are their places in this list
}

export interface Frame {
  meta: Record<string, any>;
  rows: number;
  columns: FrameColumn[];
}

const HEAD_BYTES = 24;
const JSON_BYTES_MAX = 64 << 20;
const DTYPES = { f32: Float32Array, f64: Float64Array, u32: Uint32Array } as const;

export function readFrame(buffer: ArrayBuffer): Frame {
  const bad = (what: string) => new Error(`columns: ${what}`);
  if (buffer.byteLength < HEAD_BYTES) throw bad(`${buffer.byteLength} bytes are too few`);
  const head = new DataView(buffer);
  if (head.getUint32(0, true) !== 0x43594b53) throw bad('the magic bytes SKYC are missing');
  if (head.getUint16(4, true) !== 1) throw bad(`version ${head.getUint16(4, true)}, expected 1`);
  const jsonBytes = head.getUint32(8, true);
  const rows = Number(head.getBigUint64(16, true));
  const body = HEAD_BYTES + ((jsonBytes + 7) & ~7);
  if (jsonBytes > JSON_BYTES_MAX || body > buffer.byteLength) throw bad('the description is cut off');
  const meta = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, HEAD_BYTES, jsonBytes)));
  const columns = meta.columns.map((c: any) => {
    const type = DTYPES[c.dtype as keyof typeof DTYPES];
    if (!type) throw bad(`type ${c.dtype} is unknown`);
    if (!(c.offset >= 0) || body + c.offset + rows * type.BYTES_PER_ELEMENT > buffer.byteLength)
      throw bad(`column ${c.name} is cut off`);
    return { name: c.name, base: c.base ?? 0, texts: c.texts, values: new type(buffer, body + c.offset, rows) };
  });
  return { meta, rows, columns };
}
