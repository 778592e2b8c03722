// The entry of the page that makes a browser's camera one of the hub's. The key leaves the address bar and the history
// before anything else happens.
import { mount } from 'svelte';
import { secretIn } from './addresses.ts';
import Publish from './Publish.svelte';
import { applyTheme, storedTheme } from './theme.ts';

const given = {
  app: secretIn(location.hash, 'app'),
  room: secretIn(location.hash, 'room'),
  key: secretIn(location.hash, 'key'),
};
if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);

// Another link into the same tab is no new page by itself.
addEventListener('hashchange', () => location.reload());

applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(Publish, { target, props: given });
