// The entry point of the settings page.
import { mount } from 'svelte';
import Settings from './Settings.svelte';
import { applyTheme, storedTheme } from './theme.ts';

applyTheme(storedTheme());

const target = document.getElementById('app');
if (target) mount(Settings, { target });
