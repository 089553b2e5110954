/**
 * Where an identity provider may be: behind https, or on this machine, where nobody is in between.
 * Not under the name `localhost`, which stands for whatever a file or a resolver says.
 * https://www.rfc-editor.org/rfc/rfc8252#section-8.3
 */
export function isSafeProviderUrl(text: string): boolean {
  return URL.parse(text)?.protocol === 'https:' || isLoopbackProviderUrl(text);
}

/** Plain http, on an address that never leaves the machine. */
export function isLoopbackProviderUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'http:' && /^(127(\.\d+){3}|\[::1\])$/.test(url.hostname);
}
