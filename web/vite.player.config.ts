// Builds dist/ocelli.js: the custom elements in one self-contained module, including the worker.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export default defineConfig({
  root: here('player'),
  publicDir: false,
  build: {
    outDir: here('dist'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    rolldownOptions: {
      input: here('player/ocelli.ts'),
      preserveEntrySignatures: 'strict',
      output: { format: 'es', entryFileNames: 'ocelli.js', codeSplitting: false },
    },
  },
});
