/** Passwords in the authority of a URL (RFC 3986, section 3.2.1): only the password is the hit. */
import type { Hit } from './hit.ts';

const MAX_USERINFO = 1024;
const USERINFO = /^[^\s:/?#@"'<>]*:([^\s/?#"'<>]+)@/;

export function findUrlPasswords(text: string, hits: Hit[]): void {
  for (let at = text.indexOf('://'); at !== -1; at = text.indexOf('://', at + 3)) {
    if (!/[A-Za-z0-9+.-]/.test(text[at - 1] ?? '')) continue;
    const match = USERINFO.exec(text.slice(at + 3, at + 3 + MAX_USERINFO));
    const password = match?.[1];
    if (match === null || password === undefined) continue;
    const end = at + 3 + match[0].length - 1;
    hits.push({ detector: 'url-password', start: end - password.length, end });
  }
}
