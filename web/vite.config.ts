// Builds the pages: dist/index.html and its like, and their hashed assets.
// The player is not bundled into them: they load the very /ocelli.js that other people's pages load.
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const PAGES = ['index', 'play', 'sign-in', 'settings'];
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const playerIsServed: Plugin = {
  name: 'player-is-served',
  apply: 'build',
  enforce: 'pre',
  resolveId(source) {
    return /\/player\/ocelli\.ts$/.test(source) ? { id: '/ocelli.js', external: 'absolute' } : null;
  },
};

export default defineConfig({
  root: here('app'),
  base: '/',
  publicDir: false,
  plugins: [playerIsServed, svelte({ configFile: here('svelte.config.js') })],
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: Object.fromEntries(PAGES.map((page) => [page, here(`app/${page}.html`)])) },
  },
});
