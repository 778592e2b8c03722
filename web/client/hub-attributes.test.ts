import { expect, test } from 'vitest';
import { hubOf } from './hub-attributes.ts';

const element = (attributes: Record<string, string>): Parameters<typeof hubOf>[0] => ({
  baseURI: 'https://example.org/pages/wall.html',
  getAttribute: (name) => attributes[name] ?? null,
});

test('the default hub is the one that served the script', () => {
  const served = new URL('./', import.meta.url).href;
  expect(hubOf(element({})).cameras).toBe(`${served}api/v1/cameras`);
});

test('the attributes select another hub, by address or by a path relative to the page, and a token', () => {
  expect(hubOf(element({ hub: 'http://hub:8080' })).socket).toBe('ws://hub:8080/ws/cameras');
  expect(hubOf(element({ hub: '../cams', token: 'pt_1' })).socket).toBe(
    'wss://example.org/cams/ws/cameras?token=pt_1',
  );
});
