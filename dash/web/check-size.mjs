// The bundle's limit: 200 KB gzipped in all, as the server sends it.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const limit = 200 * 1024;
const dist = new URL('dist', import.meta.url).pathname;
let total = 0;
const walk = (folder) => {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) {
      walk(path);
      continue;
    }
    const bytes = gzipSync(readFileSync(path), { level: 9 }).length;
    total += bytes;
    console.log(`${String(bytes).padStart(8)}  ${path.slice(dist.length + 1)}`);
  }
};
walk(dist);
console.log(`${String(total).padStart(8)}  in all, gzipped; at most ${limit}`);
if (total > limit) process.exit(1);
