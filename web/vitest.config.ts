// Unit tests: no browser, no sockets, no sleeping.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['{client,player,plot,app,build}/**/*.test.ts'], environment: 'node' },
});
