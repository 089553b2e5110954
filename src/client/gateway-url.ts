import { HoopError } from '../errors.ts';

/**
 * `gw.example.com:8443` or a URL → `https://gw.example.com:8443`, the form under which a gateway
 * is known in the configuration, the pins and the token store.
 * @param code HOOP_USAGE when it was typed just now.
 * @throws HoopError with this code
 */
export function normalizeGatewayUrl(
  text: string,
  code: 'HOOP_CONFIG' | 'HOOP_USAGE' = 'HOOP_CONFIG',
): string {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
  if (url === null || url.hostname === '') {
    throw new HoopError(code, `"${text}" is not an address of a gateway`, {
      hint: 'Give it as https://HOST or https://HOST:PORT.',
    });
  }
  // First, because the other errors show what was given.
  if (url.username !== '' || url.password !== '') {
    throw new HoopError(code, 'the gateway address must not contain a user or password', {
      hint: 'Give it as https://HOST:PORT and log in with `hoop login`.',
    });
  }
  if (url.protocol !== 'https:') {
    throw new HoopError(code, `the gateway address "${text}" does not start with https`, {
      detail: 'Tokens and rows of your database would cross the network unencrypted.',
      hint: 'Give it as https://HOST:PORT; name a private CA with --ca FILE.',
    });
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new HoopError(code, `the gateway address "${text}" must not have a path`, {
      hint: `Give it as ${url.origin}.`,
    });
  }
  return url.origin;
}
