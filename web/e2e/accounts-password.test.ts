// Ended sessions, changed passwords, wrong passwords.
import { expect, test } from 'vitest';
import { until } from './browser.ts';
import { browser, freshPage, openHub, PASSWORD, setUp, signIn, useBrowser } from './account.ts';

useBrowser();

test('typed input is kept when the session ends', async () => {
  const hub = await openHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const elsewhere = await freshPage(browser);
  await elsewhere.goto(`${hub.url}/sign-in?back=/settings%23account`);
  await signIn(elsewhere, 'robin');
  await page.goto(`${hub.url}/settings#apps/add`);
  await page.getByLabel('Name').fill('yard');

  await elsewhere.getByText('this session').waitFor();
  await elsewhere.getByRole('button', { name: /^Sign out .* at / }).click();
  await elsewhere.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await elsewhere.getByRole('button', { name: /^Sign out .* at / }).waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Create app' }).click();
  const again = page.getByRole('dialog', { name: 'Sign in again' });
  expect(await again.getByLabel('Name').inputValue()).toBe('robin');
  await again.getByLabel('Password').fill('not the right one');
  await again.getByRole('button', { name: 'Sign in' }).click();
  await again
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  await again.getByLabel('Password').fill(PASSWORD);
  await again.getByRole('button', { name: 'Sign in' }).click();
  await again.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Create app' }).click();
  await page.getByRole('button', { name: 'Delete yard' }).waitFor();
});

test('a changed password replaces the old one, and repeated guesses are delayed with a message', async () => {
  const hub = await openHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#account`);
  const better = 'another tapir, another roof';
  await page.getByLabel('Current password').fill('a wrong password');
  await page.getByLabel('New password').fill(better);
  await page.getByLabel('Repeat password').fill(better);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  expect(await page.getByLabel('New password').inputValue()).toBe(better);
  await page.getByLabel('Current password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByText('Password changed').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${hub.url}/`);

  await page.goto(`${hub.url}/sign-in?back=${encodeURIComponent('https://evil.example/')}`);
  await signIn(page, 'robin');
  await page
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  await signIn(page, 'robin', better);
  await page.waitForURL(`${hub.url}/`);

  const guesser = await freshPage(browser);
  await guesser.goto(`${hub.url}/sign-in`);
  const alert = guesser.getByRole('alert');
  await until(
    'attempts are limited',
    async () => {
      await signIn(guesser, 'robin', 'guess');
      await alert.filter({ hasText: /./ }).waitFor();
      return alert.textContent();
    },
    (text) => /Try again in (\d+ seconds|1 second|\d+ minutes)\./.test(text ?? ''),
  );
});
