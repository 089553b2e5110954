/**
 * What announces itself by a literal: looked for at one of its rarer characters, and from there as far
 * as is cheap. What the patterns of `detectors` would find is found here, and some more. Each function
 * returns the candidates that stand around its character, 0 = none.
 */
import { CANDIDATE } from './candidate.ts';
import {
  ALPHANUMERIC,
  BASE64,
  BASE64_URL,
  BASE64_URL_OR_DOT,
  isAt,
  LETTER,
  LOCAL_PART,
  runOf,
  type Stretch,
  standsAt,
  WORD,
} from './stretch.ts';

const CLOUD_KEY = CANDIDATE['cloud-key'];
const VCS_TOKEN = CANDIDATE['vcs-token'];

/** An AWS secret is announced by a word this far in front of its colon or equals sign, at most. */
const LONGEST_ANNOUNCEMENT = 70;
const AWS_SECRET = 40;
/** White space, up to four characters of three bytes. */
const LONGEST_BLANK = 12;
/** `[A-Z0-9 ]{0,40}PRIVATE KEY` */
const LONGEST_LABEL = 51;

/** `@`: an address has something before it, and behind it a dot and a letter. */
export function atSign(stretch: Stretch, at: number): number {
  const { bytes, end } = stretch;
  if (!isAt(stretch, at - 1, LOCAL_PART) && !isBeyondAscii(stretch, at - 1)) return 0;
  let offset = at + 1;
  while (offset < end) {
    const byte = bytes[offset] ?? 0;
    if (byte === 0x2e) {
      if (isAt(stretch, offset + 1, LETTER) || isBeyondAscii(stretch, offset + 1)) {
        return offset === at + 1 ? 0 : CANDIDATE.email;
      }
    } else if (byte < 0x80 && byte !== 0x2d && !isAt(stretch, offset, ALPHANUMERIC)) {
      return 0;
    }
    offset += 1;
  }
  return 0;
}

/** `:` and `=`: the password of a URL, and the secret of AWS behind a word for it. */
export function colonOrEquals(stretch: Stretch, at: number): number {
  const { bytes, end } = stretch;
  const next = at + 1 < end ? bytes[at + 1] : undefined;
  // What follows may be both: a slash is of base64.
  const found =
    bytes[at] === 0x3a && standsAt(stretch, at, '://') ? urlPassword(stretch, at + 3) : 0;
  let offset = next === 0x3e ? at + 2 : at + 1;
  const blank = Math.min(end, offset + LONGEST_BLANK);
  while (offset < blank && isBlank(bytes[offset] ?? 0)) offset += 1;
  if (offset < end && isQuote(bytes[offset] ?? 0)) offset += 1;
  if (runOf(stretch, offset, BASE64, AWS_SECRET + 1) !== AWS_SECRET) return found;
  return isAnnounced(stretch, at) ? found | CLOUD_KEY : found;
}

/** `user:password@`; what ends it cannot stand in it, so each byte is looked at once. */
function urlPassword(stretch: Stretch, from: number): number {
  const { bytes, end } = stretch;
  let hasColon = false;
  for (let offset = from; offset < end; offset += 1) {
    const byte = bytes[offset] ?? 0;
    if (byte === 0x3a) hasColon = true;
    else if (byte === 0x40 && hasColon) return CANDIDATE['url-password'];
    else if (byte <= 0x3e && ENDS_AUTHORITY[byte] === 1) return 0;
  }
  return 0;
}

/** `[\s/?#"'<>]` */
const ENDS_AUTHORITY = Uint8Array.from({ length: 0x3f }, (_, byte) =>
  '\t\n\v\f\r /?#"\'<>'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

function isAnnounced({ bytes, start }: Stretch, at: number): boolean {
  const from = Math.max(start, at - LONGEST_ANNOUNCEMENT);
  const before = Buffer.from(bytes.buffer, bytes.byteOffset + from, at - from).toString('latin1');
  return /secret|aws/i.test(before);
}

/** `A`: keys of AWS and Google, connection strings of Azure. */
export function capitalA(stretch: Stretch, at: number): number {
  const { bytes, end } = stretch;
  if (at + 20 > end) return 0;
  const next = bytes[at + 1];
  if (next === 0x63) return standsAt(stretch, at, 'AccountKey=') ? CLOUD_KEY : 0;
  if (next === 0x49) {
    return standsAt(stretch, at, 'AIza') && runOf(stretch, at + 4, BASE64_URL, 35) === 35
      ? CLOUD_KEY
      : 0;
  }
  const isAccess = bytes[at + 3] === 0x41 && (bytes[at + 2] === 0x49 || bytes[at + 2] === 0x43);
  if (!isAccess || (next !== 0x4b && next !== 0x53 && next !== 0x42 && next !== 0x43)) return 0;
  return runOf(stretch, at + 4, ALPHANUMERIC, 16) === 16 ? CLOUD_KEY : 0;
}

/** `_`: Stripe, GitHub, npm. */
export function underscore(stretch: Stretch, at: number): number {
  switch (at > stretch.start ? stretch.bytes[at - 1] : undefined) {
    case 0x6b: // k
      return standsAt(stretch, at, '_live_') && runOf(stretch, at + 6, ALPHANUMERIC, 16) === 16
        ? CLOUD_KEY
        : 0;
    case 0x6d: // m
      return standsAt(stretch, at - 3, 'npm_') && runOf(stretch, at + 1, ALPHANUMERIC, 36) === 36
        ? VCS_TOKEN
        : 0;
    case 0x74: // t
      return standsAt(stretch, at - 10, 'github_pat_') && runOf(stretch, at + 1, WORD, 40) === 40
        ? VCS_TOKEN
        : 0;
    case 0x6f: // o, p, r, s, u
    case 0x70:
    case 0x72:
    case 0x73:
    case 0x75:
      return standsAt(stretch, at - 3, 'gh') && runOf(stretch, at + 1, ALPHANUMERIC, 30) === 30
        ? VCS_TOKEN
        : 0;
    default:
      return 0;
  }
}

const GITLAB = ['pat', 'dt', 'rt', 'cbt', 'ptt', 'soat'];

/** `-`: Slack, OpenAI, GitLab, PyPI, and private keys. */
export function hyphen(stretch: Stretch, at: number): number {
  if (stretch.bytes[at + 5] === 0x42 && standsAt(stretch, at, '-----BEGIN ')) {
    return privateKey(stretch, at + 11);
  }
  switch (at > stretch.start ? stretch.bytes[at - 1] : undefined) {
    case 0x6b: // k
      if (!standsAt(stretch, at - 2, 'sk')) return 0;
      return runOf(stretch, at + 1, BASE64_URL, 32) === 32 ? CLOUD_KEY : 0;
    case 0x61: // a, b, e, o, p, r, s
    case 0x62:
    case 0x65:
    case 0x6f:
    case 0x70:
    case 0x72:
    case 0x73:
      if (!standsAt(stretch, at - 4, 'xox')) return 0;
      return runOf(stretch, at + 1, BASE64_URL, 10) === 10 ? CLOUD_KEY : 0;
    case 0x74: // t
      return isGitLab(stretch, at) && runOf(stretch, at + 1, BASE64_URL_OR_DOT, 20) === 20
        ? VCS_TOKEN
        : 0;
    case 0x69: // i
      return standsAt(stretch, at - 4, 'pypi-AgE') ? VCS_TOKEN : 0;
    default:
      return 0;
  }
}

function isGitLab(stretch: Stretch, at: number): boolean {
  return GITLAB.some((kind) => standsAt(stretch, at - kind.length - 2, `gl${kind}`));
}

function privateKey({ bytes, end }: Stretch, from: number): number {
  const to = Math.min(end, from + LONGEST_LABEL);
  const label = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.max(to - from, 0));
  return label.includes('PRIVATE KEY') ? CANDIDATE['private-key'] : 0;
}

/** `29` behind `ya`: Google's access tokens. */
export function googleToken(stretch: Stretch, at: number): number {
  return standsAt(stretch, at - 2, 'ya29.') && runOf(stretch, at + 3, BASE64_URL, 20) === 20
    ? CLOUD_KEY
    : 0;
}

/** The three parts of a JWT, from the `J` of `eyJ` on. Reads each run of characters once. */
export class JwtStarts {
  /** What was read up to here is not the beginning of one. */
  #readTo = 0;

  begin(): void {
    this.#readTo = 0;
  }

  capitalJ(stretch: Stretch, at: number): number {
    if (at < this.#readTo || !standsAt(stretch, at - 2, 'ey')) return 0;
    const { bytes, end } = stretch;
    const header = at + runOf(stretch, at, BASE64_URL, end);
    this.#readTo = header;
    if (header >= end || bytes[header] !== 0x2e) return 0;
    const body = runOf(stretch, header + 1, BASE64_URL, end);
    return body >= 2 && standsAt(stretch, header + 1 + body, '.') ? CANDIDATE.jwt : 0;
  }
}

function isBeyondAscii({ bytes, start, end }: Stretch, at: number): boolean {
  return at >= start && at < end && (bytes[at] ?? 0) >= 0x80;
}

/** White space, and what may be some of another script. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte >= 0x80;
}

function isQuote(byte: number): boolean {
  return byte === 0x22 || byte === 0x27;
}
