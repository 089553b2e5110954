/**
 * Walks through the demo provider's login as a browser would (redirects, cookies, the form), so
 * that demo homes and tests can log in where there is no browser.
 */
import { HoopError } from '../errors.ts';

/** authorize → form → resume → loopback listener → its answer; more means that we go in circles. */
const MAX_STEPS = 10;

/** @throws HoopError HOOP_LOGIN_FAILED when the provider does not let the account in */
export async function completeLogin(
  authorizationUrl: string,
  account: { readonly name: string; readonly password: string },
  signal?: AbortSignal,
): Promise<void> {
  const issuerOrigin = new URL(authorizationUrl).origin;
  const cookies = new Map<string, string>();
  let url = authorizationUrl;
  let form: URLSearchParams | undefined;
  let answered = false;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const atProvider = new URL(url).origin === issuerOrigin;
    const response = await fetch(url, {
      method: form === undefined ? 'GET' : 'POST',
      redirect: 'manual',
      headers: atProvider
        ? { cookie: Array.from(cookies, ([name, value]) => `${name}=${value}`).join('; ') }
        : {},
      ...(form === undefined ? {} : { body: form }),
      ...(signal === undefined ? {} : { signal }),
    });
    const page = await response.text();
    form = undefined;
    if (!atProvider) {
      if (response.ok) {
        return;
      }
      throw failed(`the listener of the login answered with status ${response.status}`);
    }
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';');
      const split = pair.indexOf('=');
      cookies.set(pair.slice(0, split), pair.slice(split + 1));
    }
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url).href;
    } else if (response.status === 200 && !answered && page.includes('name="password"')) {
      form = new URLSearchParams({ account: account.name, password: account.password });
      answered = true;
    } else {
      throw failed(`the identity provider answered with status ${response.status}`);
    }
  }
  throw failed(`the identity provider redirected more than ${MAX_STEPS} times`);
}

function failed(reason: string): HoopError {
  return new HoopError('HOOP_LOGIN_FAILED', `cannot log in without a browser: ${reason}`);
}
