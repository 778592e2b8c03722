// Builds dist/sound.js, which the elements load when somebody turns sound on.
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
      input: here('player/sound-output.ts'),
      preserveEntrySignatures: 'strict',
      output: { format: 'es', entryFileNames: 'sound.js', codeSplitting: false },
    },
  },
});
