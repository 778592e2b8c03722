// The entry point of the dashboard.
import { mount } from 'svelte';
import App from './App.svelte';
import { applyTheme, storedTheme } from './theme.ts';
import { isWallLink, takeWallToken } from './wall-link.ts';

// Applied before the first paint, so that a dark page does not flash light.
applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(App, { target, props: { wallToken: takeWallToken() } });

addEventListener('hashchange', () => {
  if (isWallLink(location.hash)) location.reload();
});
