// Compresses the build output at the highest level: each text file gets a `.gz` and a `.br` version beside it,
// unless that would save less than 10 %. The hub sends the version that the browser accepts.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TEXT = /\.(?:html|js|css|svg|json|webmanifest)$/;

for (const name of readdirSync(DIST, { recursive: true, encoding: 'utf8' })) {
  if (!TEXT.test(name)) continue;
  const file = join(DIST, name);
  const bytes = readFileSync(file);
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  const variants = { '.gz': gzipSync(bytes, { level: 9 }), '.br': brotli };
  for (const [extension, compressed] of Object.entries(variants))
    if (compressed.length < 0.9 * bytes.length) writeFileSync(file + extension, compressed);
}
