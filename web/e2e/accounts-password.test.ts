// Ended sessions, changed passwords, wrong passwords.
import { expect, test } from 'vitest';
import { until } from './browser.ts';
import { browser, freshPage, openHub, PASSWORD, setUp, signIn, useBrowser } from './account.ts';

useBrowser();

test('typed input is kept when the session ends', async () => {
  const hub = await openHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const otherPage = await freshPage(browser);
  await otherPage.goto(`${hub.url}/sign-in?back=/settings%23account`);
  await signIn(otherPage, 'robin');
  await page.goto(`${hub.url}/settings#apps/add`);
  await page.getByLabel('Name').fill('yard');

  await otherPage.getByText('this browser').waitFor();
  await otherPage.getByRole('button', { name: /^Sign out .* at / }).click();
  await otherPage.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await otherPage.getByRole('button', { name: /^Sign out .* at / }).waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Create app' }).click();
  const dialog = page.getByRole('dialog', { name: 'Sign in again' });
  expect(await dialog.getByLabel('Name').inputValue()).toBe('robin');
  await dialog.getByLabel('Password').fill('not the right one');
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await dialog
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  await dialog.getByLabel('Password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Create app' }).click();
  await page.getByRole('button', { name: 'Delete yard' }).waitFor();
});

test('a changed password replaces the old one, and repeated guesses are delayed with a message', async () => {
  const hub = await openHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#account`);
  const newPassword = 'another tapir, another roof';
  await page.getByLabel('Current password').fill('a wrong password');
  await page.getByLabel('New password').fill(newPassword);
  await page.getByLabel('Repeat password').fill(newPassword);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  expect(await page.getByLabel('New password').inputValue()).toBe(newPassword);
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
  await signIn(page, 'robin', newPassword);
  await page.waitForURL(`${hub.url}/`);

  const attacker = await freshPage(browser);
  await attacker.goto(`${hub.url}/sign-in`);
  const alert = attacker.getByRole('alert');
  await until(
    'attempts are limited',
    async () => {
      await signIn(attacker, 'robin', 'guess');
      await alert.filter({ hasText: /./ }).waitFor();
      return alert.textContent();
    },
    (text) => /Try again in (\d+ seconds|1 second|\d+ minutes)\./.test(text ?? ''),
  );
});
