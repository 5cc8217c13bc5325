// Writes .br and .gz beside every text file of embed/, so that the server never compresses at run time.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const walk = (dir) => readdirSync(dir).flatMap((n) => {
  const p = join(dir, n);
  return statSync(p).isDirectory() ? walk(p) : [p];
});

for (const file of walk('embed')) {
  if (!/\.(js|css|html|svg|json)$/.test(file) || file.endsWith('stub.html') || file.endsWith('manifest.json')) continue;
  const raw = readFileSync(file);
  if (raw.length < 600) continue;
  writeFileSync(`${file}.gz`, gzipSync(raw, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } }));
}
