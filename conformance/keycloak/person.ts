import type { Page } from 'playwright-core';

/** What a person does on Keycloak’s page of a login. */
export async function fillLogin(page: Page, user: string, password: string): Promise<void> {
  await page.locator('#username').fill(user);
  await page.locator('#password').fill(password);
  await page.locator('#kc-login').click();
}

/** What a person does with the code that `hoop login --device` prints; then they log in. */
export async function fillCode(page: Page, url: string, code: string): Promise<void> {
  await page.goto(url);
  await page.locator('#device-user-code').fill(code);
  await page.locator('input[type=submit]').click();
}

/** Keycloak asks whether the device is to have what it asks for. */
export async function grantCode(page: Page): Promise<void> {
  await page.locator('#kc-login, [name=accept]').first().click();
}
