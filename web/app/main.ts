// The dashboard's entry: it only composes.
import { mount } from 'svelte';
import App from './App.svelte';
import { applyTheme, storedTheme } from './theme.ts';
import { isWallLink, takeWallToken } from './wall-link.ts';

// Before anything is drawn, so that no light page flashes in a dark room.
applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(App, { target, props: { wallToken: takeWallToken() } });

addEventListener('hashchange', () => {
  if (isWallLink(location.hash)) location.reload();
});
