import { escapeHtml, renderBrowserPage } from '../auth/browser-page.ts';
import type { DemoAccount } from './oidc-provider.ts';

export interface LoginPage {
  readonly accounts: readonly Omit<DemoAccount, 'password'>[];
  readonly selected: string | undefined;
  readonly problem: string | undefined;
}

export function renderLoginPage(page: LoginPage): string {
  const selected = page.selected ?? page.accounts[0]?.name;
  const cards = page.accounts.map(
    (account) => `<label class="account">
<input type="radio" name="account" value="${escapeHtml(account.name)}"${account.name === selected ? ' checked' : ''} required>
<span><strong>${escapeHtml(account.fullName)}</strong>
<small>${escapeHtml(account.name)} · ${escapeHtml(account.groups.join(', '))}</small></span>
</label>`,
  );
  const problem =
    page.problem === undefined
      ? ''
      : `<p class="alert" role="alert">${escapeHtml(page.problem)}</p>\n`;
  return renderBrowserPage({
    title: 'Log in to the hoop demo',
    badge: 'demo identity provider',
    body: `<h1>Log in</h1>
<p>Choose an account for this login.</p>
<form method="post" autocomplete="off">
<fieldset>
<legend>Account</legend>
${cards.join('\n')}
</fieldset>
${problem}<label class="field" for="password">Password</label>
<input type="password" id="password" name="password" required maxlength="100" autocomplete="current-password" aria-describedby="password-tip"${page.problem === undefined ? '' : ' aria-invalid="true" autofocus'}>
<p class="tip" id="password-tip">The demo’s terminal shows it.</p>
<button type="submit">Log in</button>
</form>`,
  });
}

export function renderProblemPage(message: string): string {
  return renderBrowserPage({
    title: 'Login failed',
    badge: 'demo identity provider',
    tone: 'bad',
    body: `<h1>Login failed</h1>
<p role="alert">${escapeHtml(message)}</p>
<p>Return to the terminal and run <code>hoop login</code> again.</p>`,
  });
}
