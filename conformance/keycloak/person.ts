import type { Page } from 'playwright-core';

/** What a person does on Keycloak’s page of a login. */
export async function fillLogin(page: Page, user: string, password: string): Promise<void> {
  await page.locator('#username').fill(user);
  await page.locator('#password').fill(password);
  await page.locator('#kc-login').click();
}
