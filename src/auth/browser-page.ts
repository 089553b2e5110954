/**
 * The frame of the few HTML pages that hoop shows in a browser: the end of a login, and the
 * demo's login form. No script, nothing from anywhere else; the policy header says so too.
 */
import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; --ink: #16202c; --soft: #5a6878; --line: #d5dce4; --paper: #ffffff;
  --back: #eef2f6; --accent: #0b5fb0; --accent-ink: #ffffff; --tint: #e9f2fc; --bad: #a3211b; --bad-tint: #fdeeed; --good: #17693a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eef5; --soft: #a3b1c0; --line: #36424f; --paper: #1a222c;
  --back: #10161d; --accent: #6db3f8; --accent-ink: #0a1a2b; --tint: #1d3045; --bad: #ffaaa3; --bad-tint: #3a1f1e; --good: #7fd6a0; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; align-items: center; justify-content: center; padding: 24px 16px;
  background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { width: 100%; max-width: 440px; padding: 36px 36px 32px; background: var(--paper); border: 1px solid var(--line);
  border-radius: 14px; box-shadow: 0 10px 32px rgb(15 30 50 / 10%); }
p.brand { margin: 0 0 22px; color: var(--ink); font-weight: 700; letter-spacing: .01em; }
.brand span { margin-left: 8px; padding: 2px 9px; border-radius: 99px; background: var(--tint); color: var(--accent); font-size: 12px; font-weight: 600; }
h1 { margin: 0 0 6px; font-size: 24px; line-height: 1.25; }
p { margin: 0 0 14px; color: var(--soft); }
p:last-child { margin-bottom: 0; }
.good h1 { color: var(--good); }
.bad h1 { color: var(--bad); }
code { font: 14px/1.4 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; color: var(--ink); overflow-wrap: anywhere; }
fieldset { margin: 22px 0 18px; padding: 0; border: 0; display: grid; gap: 8px; }
legend, .field { display: block; margin-bottom: 6px; padding: 0; color: var(--ink); font-weight: 600; font-size: 14px; }
.account { display: flex; align-items: center; gap: 12px; padding: 10px 14px; border: 1px solid var(--line); border-radius: 10px; cursor: pointer; }
.account:has(:checked) { border-color: var(--accent); background: var(--tint); }
.account:focus-within, input:is([type=password], [type=text]):focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.account input { margin: 0; width: 18px; height: 18px; accent-color: var(--accent); outline: none; }
.account strong { display: block; font-weight: 600; line-height: 1.35; }
.account small { color: var(--soft); font-size: 13px; }
input:is([type=password], [type=text]) { width: 100%; padding: 10px 12px; border: 1px solid var(--line); border-radius: 10px; background: var(--paper); color: var(--ink); font: inherit; }
.tip { margin: 6px 0 20px; font-size: 13px; }
.alert { margin: 16px 0; padding: 10px 14px; border-radius: 10px; background: var(--bad-tint); color: var(--bad); font-weight: 600; }
button { width: 100%; padding: 12px; border: 0; border-radius: 10px; background: var(--accent); color: var(--accent-ink); font: inherit; font-weight: 600; cursor: pointer; }
@media (max-height: 800px) { body { padding-block: 12px; } main { padding-block: 22px; } p.brand { margin-bottom: 12px; } fieldset { margin: 14px 0; gap: 6px; }
  .account { padding-block: 5px; } .alert { margin: 12px 0; padding-block: 6px; font-size: 14px; } .tip { margin-bottom: 14px; } }
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

export interface BrowserPage {
  readonly title: string;
  /** Beside the name in the head of the page. */
  readonly badge?: string;
  readonly tone?: 'good' | 'bad';
  /** HTML. Whatever comes from outside goes through `escapeHtml` first. */
  readonly body: string;
}

export function renderBrowserPage(page: BrowserPage): string {
  const badge = page.badge === undefined ? '' : ` <span>${escapeHtml(page.badge)}</span>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main${page.tone === undefined ? '' : ` class="${page.tone}"`}>
<p class="brand">hoop${badge}</p>
${page.body}
</main>
</body>
</html>
`;
}

/**
 * @param formAction sources for the policy's `form-action`; Chromium applies it to the redirects
 * that follow a form as well, so a login form names the loopback listener here.
 */
export function browserPageHeaders(formAction = "'none'"): Record<string, string> {
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; img-src data:; form-action ${formAction}; base-uri 'none'; frame-ancestors 'none'`,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
