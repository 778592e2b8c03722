// The entry point of the /publish page. It first removes the key from the address bar and the history.
import { mount } from 'svelte';
import { hashParameter } from './addresses.ts';
import Publish from './Publish.svelte';
import { applyTheme, storedTheme } from './theme.ts';

const props = {
  app: hashParameter(location.hash, 'app'),
  room: hashParameter(location.hash, 'room'),
  key: hashParameter(location.hash, 'key'),
};
if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);

// A second link opened in the same tab changes only the hash and does not load the page again.
addEventListener('hashchange', () => location.reload());

applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(Publish, { target, props });
