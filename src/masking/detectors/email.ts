/**
 * E-mail addresses with a top-level domain. Found from each `@` outwards, so that the cost stays
 * linear in the text; the lengths are those of RFC 5321, section 4.5.3.1.
 */
import type { Hit } from './hit.ts';

const MAX_LOCAL_PART = 64;
const MAX_DOMAIN = 255;
const LOCAL_PART_ASCII = /[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]/;
const DOMAIN =
  /^(?:[\p{L}\p{Nd}](?:[\p{L}\p{M}\p{Nd}-]{0,61}[\p{L}\p{M}\p{Nd}])?\.)+(?:xn--[a-z0-9-]{2,59}|\p{L}{2,63})/iu;

/** `icon@2x.png`: an image for screens of that density. None of these is a top-level domain. */
const IMAGE = /^[0-9]x\.(?:png|jpe?g|gif|webp|avif|svg)$/i;

export function findEmails(text: string, hits: Hit[]): void {
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    const start = startOfLocalPart(text, at);
    if (start === at) continue;
    const domain = DOMAIN.exec(text.slice(at + 1, at + 1 + MAX_DOMAIN))?.[0];
    if (domain === undefined || IMAGE.test(domain)) continue;
    hits.push({ detector: 'email', start, end: at + 1 + domain.length });
  }
}

function startOfLocalPart(text: string, at: number): number {
  let start = at;
  while (start > 0 && at - start < MAX_LOCAL_PART) {
    const code = text.charCodeAt(start - 1);
    // RFC 6531 lets every character beyond ASCII stand in a local part; separators are no names.
    if (
      code < 0x80
        ? !LOCAL_PART_ASCII.test(text.charAt(start - 1))
        : /\s/.test(text.charAt(start - 1))
    )
      break;
    start -= 1;
  }
  return start;
}
