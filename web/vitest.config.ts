// Unit tests, without browser, sockets or sleeping.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['{client,player,plot,app,build}/**/*.test.ts'], environment: 'node' },
});
