// Browser tests against a real hub. Tests, hub and browser share few cores, so those that play video run one file at a
// time. Those of pages mostly wait, so two files run at a time.
import { defineConfig } from 'vitest/config';

const pages = ['accounts*', 'appearance', 'hub-attributes', 'series*', 'two-hubs'].map(
  (name) => `e2e/${name}.test.ts`,
);
const shared = { environment: 'node' as const, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'video',
          include: ['e2e/**/*.test.ts'],
          exclude: pages,
          fileParallelism: false,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...shared, name: 'pages', include: pages, maxWorkers: 2, sequence: { groupOrder: 1 } } },
    ],
  },
});
