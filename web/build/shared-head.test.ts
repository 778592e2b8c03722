import { expect, test } from 'vitest';
import { withSharedHead } from './shared-head.ts';

test('every page gets the shared head, and a page with a colour scheme keeps it', () => {
  const html = withSharedHead('<html><head>\n<title>x</title></head></html>');
  for (const part of ['charset="utf-8"', 'name="viewport"', 'content="dark light"', 'rel="icon"'])
    expect(html.split(part)).toHaveLength(2);
  const dark = withSharedHead('<head>\n<meta name="color-scheme" content="dark" /></head>');
  expect(dark.match(/color-scheme/g)).toHaveLength(1);
});
