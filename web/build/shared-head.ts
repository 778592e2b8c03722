// Adds the shared elements to the <head> of every page.
import type { Plugin } from 'vite';

const FIRST = [
  '<meta charset="utf-8" />',
  '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />',
];
const SCHEME = '<meta name="color-scheme" content="dark light" />';
const ICON = '<link rel="icon" href="./icon.svg" type="image/svg+xml" />';

/** Returns the page with the shared head. A page with its own colour scheme keeps it. */
export function withSharedHead(html: string): string {
  const parts = [...FIRST, ...(html.includes('name="color-scheme"') ? [] : [SCHEME]), ICON];
  return html.replace('<head>', ['<head>', ...parts].join('\n    '));
}

export const sharedHead: Plugin = {
  name: 'shared-head',
  transformIndexHtml: { order: 'pre', handler: withSharedHead },
};
