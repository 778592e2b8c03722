// Reads the hub of a custom element from its attributes `hub` and `token`. Used by all our elements.
import { HubAddress } from './hub-address.ts';

/** The attributes that every element observes. A change reconnects the element. */
export const HUB_ATTRIBUTES: readonly string[] = ['hub', 'token'];

/** The hub that served this script, which is the default of `hub`. */
const SERVED_FROM = new URL(/* @vite-ignore */ './', import.meta.url).href;

/** The part of an element that is read. */
interface Attributes {
  readonly baseURI: string;
  getAttribute(name: string): string | null;
}

export function hubOf(element: Attributes): HubAddress {
  const hub = new URL(element.getAttribute('hub') ?? SERVED_FROM, element.baseURI).href;
  return new HubAddress(hub, element.getAttribute('token') ?? '');
}
