// The entry point of the sign-in page. It first removes the one-time code from the address bar and the history.
import { mount } from 'svelte';
import { hashParameter } from './addresses.ts';
import SignIn from './SignIn.svelte';
import { applyTheme, storedTheme } from './theme.ts';

const code = hashParameter(location.hash, 'code');
const name = hashParameter(location.hash, 'name');
if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);

// A second link opened in the same tab changes only the hash and does not load the page again.
addEventListener('hashchange', () => location.reload());

applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(SignIn, { target, props: { code, name } });
