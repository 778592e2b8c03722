// The benchmark of one browser tab (`make bench-tab`). It is not part of the tests.
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
