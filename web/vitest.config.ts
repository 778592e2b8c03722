// Unit tests, without a browser, sockets or sleeps.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['{client,jsmpeg,player,plot,app,build}/**/*.test.ts'], environment: 'node' },
});
