// What one tab can do: measured, not tested, and never with the tests. `make bench-tab`.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['bench/**/*.test.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 180_000,
    disableConsoleIntercept: true,
  },
});
