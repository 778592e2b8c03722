// Builds the pages (dist/index.html and others) and their hashed assets. The custom elements are not bundled: the pages
// load the same /ocelli.js and /plot.js as pages of other sites.
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';
import { sharedHead } from './build/shared-head.ts';

const PAGES = ['index', 'play', 'sign-in', 'settings', 'plot', 'live', 'publish'];
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const externalElements: Plugin = {
  name: 'external-elements',
  apply: 'build',
  enforce: 'pre',
  resolveId(source) {
    if (/\/player\/ocelli\.ts$/.test(source)) return { id: '/ocelli.js', external: 'absolute' };
    return /\/plot\/plot\.ts$/.test(source) ? { id: '/plot.js', external: 'absolute' } : null;
  },
};

export default defineConfig({
  root: here('app'),
  base: '/',
  publicDir: false,
  plugins: [externalElements, sharedHead, svelte({ configFile: here('svelte.config.js') })],
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: Object.fromEntries(PAGES.map((page) => [page, here(`app/${page}.html`)])) },
  },
});
