// Builds dist/plot.js: <series-plot> in one self-contained module.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export default defineConfig({
  root: here('plot'),
  publicDir: false,
  build: {
    outDir: here('dist'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    rolldownOptions: {
      input: here('plot/plot.ts'),
      preserveEntrySignatures: 'strict',
      output: { format: 'es', entryFileNames: 'plot.js', codeSplitting: false },
    },
  },
});
