// Tests of the build output. Needs `npm run build` first.
import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['build/**/*.dist-test.ts'], environment: 'node' } });
