/** Secrets that announce themselves by a prefix: JWTs, cloud keys, tokens of code hosts, PEM keys. */
import type { DetectorName } from '../../policy/types.ts';
import type { Hit } from './hit.ts';

/** Three parts or more; from the beginning of the run of characters, so that each is read once. */
const JWT = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{11,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){1,3}/g;
/** `token_eyJ…`: where a header may begin in that run. */
const HEADER_START = /(?:^|[_-])(?=eyJ)/g;
const MAX_STARTS = 8;

/** Each with the page that gives the format; the group, if any, is the part to hide. */
const CLOUD_KEYS: readonly RegExp[] = [
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
  /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])/g,
  // A secret access key has no prefix of its own: forty base64 characters after a word for it.
  /(?:secret|aws)[a-z0-9_ .-]{0,40}["']?\s{0,4}(?:[:=]|=>)\s{0,4}["']?(?<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])/gi,
  // https://cloud.google.com/docs/authentication/api-keys
  /(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g,
  /(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_-]{20,}/g,
  // Azure storage connection strings.
  /AccountKey=(?<secret>[A-Za-z0-9+/]{86}==)/g,
  // Stripe, Slack, OpenAI and Anthropic.
  /(?<![A-Za-z0-9])(?:sk|rk)_live_[A-Za-z0-9]{16,}/g,
  /(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}/g,
  /(?<![A-Za-z0-9])sk-(?:[a-z]{2,10}-)?[A-Za-z0-9_-]{32,}/g,
];

const VCS_TOKENS: readonly RegExp[] = [
  // https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
  /(?<![A-Za-z0-9])gh[oprsu]_[A-Za-z0-9]{30,}/g,
  /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{40,}/g,
  // https://docs.gitlab.com/security/tokens/#token-prefixes
  /(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_.-]{20,}/g,
  /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g,
  /(?<![A-Za-z0-9])pypi-AgE[A-Za-z0-9_-]{40,}/g,
];

/** RFC 7468, section 5.1; with the end missing, everything that follows is taken for the key. */
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const PRIVATE_KEY_END = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;

export function findJwts(text: string, hits: Hit[]): void {
  if (!text.includes('eyJ')) return;
  for (const match of text.matchAll(JWT)) {
    const header = match[0].slice(0, match[0].indexOf('.'));
    for (const found of header.matchAll(HEADER_START).take(MAX_STARTS)) {
      const start = found.index + found[0].length;
      if (!isJoseHeader(header.slice(start))) continue;
      hits.push({
        detector: 'jwt',
        start: match.index + start,
        end: match.index + match[0].length,
      });
      break;
    }
  }
}

function isJoseHeader(part: string): boolean {
  const text = Buffer.from(part, 'base64url').toString('latin1');
  return text.startsWith('{') && /"(?:alg|enc|typ|kid)"/.test(text);
}

export function findCloudKeys(text: string, hits: Hit[]): void {
  for (const pattern of CLOUD_KEYS) collect(text, pattern, 'cloud-key', hits);
}

export function findVcsTokens(text: string, hits: Hit[]): void {
  for (const pattern of VCS_TOKENS) collect(text, pattern, 'vcs-token', hits);
}

export function findPrivateKeys(text: string, hits: Hit[]): void {
  let from = 0;
  for (const match of text.matchAll(PRIVATE_KEY)) {
    if (match.index < from) continue;
    PRIVATE_KEY_END.lastIndex = match.index;
    const end = PRIVATE_KEY_END.exec(text);
    from = end === null ? text.length : end.index + end[0].length;
    hits.push({ detector: 'private-key', start: match.index, end: from });
  }
}

function collect(text: string, pattern: RegExp, detector: DetectorName, hits: Hit[]): void {
  for (const match of text.matchAll(pattern)) {
    const secret = match.groups?.['secret'] ?? match[0];
    const start = match.index + match[0].lastIndexOf(secret);
    hits.push({ detector, start, end: start + secret.length });
  }
}
