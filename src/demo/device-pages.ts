/** The pages on which the code of `hoop login --device` is entered, in the demo's identity provider. */
import { browserPageHeaders, escapeHtml, renderBrowserPage } from '../auth/browser-page.ts';

/** The part of Koa's context that they need. */
interface PageContext {
  readonly oidc: {
    readonly client?: { readonly clientName?: string; readonly clientId: string };
    readonly entities?: { readonly DeviceCode?: { readonly params: object } };
  };
  body: string;
  set(fields: object): void;
}

interface DeviceInfo {
  readonly ip?: string;
  readonly ua?: string;
}

const BADGE = 'demo identity provider';

/** Settings of oidc-provider's `features.deviceFlow`. */
export function devicePages() {
  const answer = (context: PageContext, body: string, tone?: 'good' | 'bad'): void => {
    context.set(browserPageHeaders("'self'"));
    context.body = renderBrowserPage({
      title: 'A login on another device',
      badge: BADGE,
      body,
      ...(tone === undefined ? {} : { tone }),
    });
  };
  return {
    userCodeInputSource: (context: PageContext, form: string, _out: unknown, error?: Error) => {
      const problem = error ? '<p class="alert" role="alert">That code is not valid.</p>' : '';
      answer(
        context,
        `<h1>Enter the code</h1>
<p>The terminal where you started the login shows it.</p>
${labelled(form)}
${problem}<button type="submit" form="op.deviceInputForm">Continue</button>`,
      );
    },
    userCodeConfirmSource: (
      context: PageContext,
      form: string,
      client: { readonly clientName?: string; readonly clientId: string },
      device: DeviceInfo,
      userCode: string,
    ) => {
      const params = context.oidc.entities?.DeviceCode?.params ?? {};
      const scope = 'scope' in params ? String(params.scope) : 'openid';
      answer(
        context,
        `<h1>Is this your login?</h1>
<p><strong>${escapeHtml(client.clientName ?? client.clientId)}</strong><br>
from <code>${escapeHtml(device.ip ?? 'unknown address')}</code>, <code>${escapeHtml(device.ua ?? 'unknown program')}</code><br>
asks for <code>${escapeHtml(scope)}</code></p>
<p>Its terminal must show the code <code>${escapeHtml(userCode)}</code>. If you did not start it yourself, somebody is trying to take over your login.</p>
${form}
<button type="submit" form="op.deviceConfirmForm">Yes, log in</button>
<p class="tip"></p>
<button type="submit" form="op.deviceConfirmForm" value="yes" name="abort">No, cancel</button>`,
      );
    },
    successSource: (context: PageContext) => {
      answer(
        context,
        `<h1>The device is logged in</h1>
<p>You can close this page and return to its terminal.</p>`,
        'good',
      );
    },
  };
}

/** A name for those who do not see it, instead of a script that the page's own policy forbids. */
function labelled(form: string): string {
  return form.replace(/onfocus="[^"]*"/, 'aria-label="Code"');
}
