// Builds the JSMpeg decoder twice: `--mode module` makes dist/jsmpeg.js, which a tile loads when it shows MPEG-1;
// `--mode classic` makes dist/jsmpg.js, a plain script for pages with the classic API.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

// The bundled player is under the MIT licence, which must be included in copies.
const licence = readFileSync(here('node_modules/@cycjimmy/jsmpeg-player/LICENSE'), 'utf8').trim();

export default defineConfig(({ mode }) => {
  const classic = mode === 'classic';
  return {
    root: here('jsmpeg'),
    publicDir: false,
    build: {
      outDir: here('dist'),
      emptyOutDir: false,
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: {
        input: here(classic ? 'jsmpeg/classic.ts' : 'jsmpeg/mpeg1-canvas.ts'),
        preserveEntrySignatures: 'strict',
        output: {
          format: classic ? 'iife' : 'es',
          entryFileNames: classic ? 'jsmpg.js' : 'jsmpeg.js',
          codeSplitting: false,
          postBanner: `/*! @cycjimmy/jsmpeg-player, after JSMpeg by Dominic Szablewski\n\n${licence}\n*/`,
        },
      },
    },
  };
});
