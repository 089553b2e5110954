/**
 * Where the identity provider sends the browser back to: one answer on a loopback port, on a path
 * that nobody can guess. https://www.rfc-editor.org/rfc/rfc8252#section-7.3
 *
 * Any page and any program of this machine may try the port. What is not the answer to our own
 * request (path, Host, method, state) is turned away and does not end the wait.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { untilAborted } from '../until.ts';
import { browserPageHeaders, escapeHtml, renderBrowserPage } from './browser-page.ts';

export interface LoopbackListener extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/PATH` */
  readonly redirectUri: string;
  /** The answer; later requests are told that it was there already. Rejects when `signal` fires. */
  callback(signal: AbortSignal): Promise<Callback>;
}

export interface Callback {
  /** With everything that the identity provider sent. */
  readonly url: URL;
  /** The browser has been waiting until now. */
  show(result: LoginOutcome): Promise<void>;
}

type LoginOutcome =
  | { readonly type: 'success'; readonly name: string; readonly gateway: string }
  | { readonly type: 'failure'; readonly reason: string };

/** @param state of the authorization request */
export async function startLoopbackListener(state: string): Promise<LoopbackListener> {
  const path = `/${randomBytes(16).toString('base64url')}`;
  const answered = Promise.withResolvers<Callback>();
  let taken = false;
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? '', origin);
    const refusal = refuse(request, url);
    if (refusal !== undefined || url === null) {
      respond(response, refusal ?? 400, refusalPage());
      return;
    }
    if (taken) {
      respond(response, 410, refusalPage());
      return;
    }
    taken = true;
    answered.resolve({ url, show: (outcome) => show(response, outcome) });
  });

  const refuse = (request: IncomingMessage, url: URL | null): number | undefined => {
    // A page of another site that has pointed its own name at 127.0.0.1 sends that name.
    if (request.headers.host !== new URL(origin).host) {
      return 421;
    }
    if (url?.pathname !== path) {
      return 404;
    }
    if (request.method !== 'GET') {
      return 405;
    }
    const states = url.searchParams.getAll('state');
    return states.length === 1 && sameText(states[0] ?? '', state) ? undefined : 400;
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new TypeError('a TCP server has an address with a port');
  }
  const origin = `http://127.0.0.1:${address.port}`;

  return {
    redirectUri: `${origin}${path}`,
    callback: (signal) => untilAborted(answered.promise, signal),
    [Symbol.asyncDispose]: async () => {
      if (server.listening) {
        const closed = once(server, 'close');
        server.close();
        server.closeAllConnections();
        await closed;
      }
    },
  };
}

function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

async function show(response: ServerResponse, outcome: LoginOutcome): Promise<void> {
  const page = outcome.type === 'success' ? successPage(outcome) : failurePage(outcome.reason);
  // The browser may have gone: nobody left to tell is no failure of the login.
  const done = Promise.race([once(response, 'close'), once(response, 'finish')]);
  if (!response.destroyed) {
    respond(response, outcome.type === 'success' ? 200 : 400, page);
    await done;
  }
}

function respond(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, { ...browserPageHeaders(), connection: 'close' });
  response.end(page);
}

function successPage(outcome: { readonly name: string; readonly gateway: string }): string {
  return renderBrowserPage({
    title: 'Logged in to hoop',
    tone: 'good',
    body: `<h1>You are logged in</h1>
<p>as <code>${escapeHtml(outcome.name)}</code><br>at <code>${escapeHtml(outcome.gateway)}</code></p>
<p>You can close this page and return to the terminal.</p>`,
  });
}

function failurePage(reason: string): string {
  return renderBrowserPage({
    title: 'Login failed',
    tone: 'bad',
    body: `<h1>Login failed</h1>
<p role="alert">${escapeHtml(reason)}</p>
<p>Return to the terminal for details.</p>`,
  });
}

function refusalPage(): string {
  return renderBrowserPage({
    title: 'Nothing to see here',
    body: `<h1>This is not a login</h1>
<p>This address only receives the answer to a login started with <code>hoop login</code>.</p>`,
  });
}
