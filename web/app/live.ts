import { mount } from 'svelte';
import LiveView from './LiveView.svelte';
import { applyTheme, storedTheme } from './theme.ts';

applyTheme(storedTheme());
const target = document.getElementById('live');
if (target) mount(LiveView, { target });
