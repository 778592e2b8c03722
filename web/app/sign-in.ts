// The sign-in page's entry. The one-time code leaves the address bar and the history before anything else happens.
import { mount } from 'svelte';
import { secretIn } from './addresses.ts';
import SignIn from './SignIn.svelte';
import { applyTheme, storedTheme } from './theme.ts';

const code = secretIn(location.hash, 'code');
const name = secretIn(location.hash, 'name');
if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);

// Another link into the same tab is no new page by itself.
addEventListener('hashchange', () => location.reload());

applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(SignIn, { target, props: { code, name } });
