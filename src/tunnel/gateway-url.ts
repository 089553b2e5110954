import { HoopError } from '../errors.ts';

/**
 * `gw.example.com:8443` or a URL → `https://gw.example.com:8443`, the form under which a gateway
 * is known in the configuration, the pins and the token store.
 * @throws HoopError HOOP_CONFIG
 */
export function normalizeGatewayUrl(text: string): string {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
  if (url === null || url.hostname === '') {
    throw new HoopError('HOOP_CONFIG', `"${text}" is not an address of a gateway`, {
      hint: 'Give it as https://HOST or https://HOST:PORT.',
    });
  }
  if (url.protocol !== 'https:') {
    throw new HoopError('HOOP_CONFIG', `the gateway address "${text}" does not start with https`, {
      detail: 'Tokens and rows of your database would cross the network in the clear.',
      hint: 'Give it as https://HOST:PORT; a private CA is named with --ca FILE.',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new HoopError('HOOP_CONFIG', 'the gateway address must not hold a user or password', {
      hint: 'Give it as https://HOST:PORT and log in with `hoop login`.',
    });
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new HoopError('HOOP_CONFIG', `the gateway address "${text}" must not have a path`, {
      hint: `Give it as ${url.origin}.`,
    });
  }
  return url.origin;
}
