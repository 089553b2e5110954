/**
 * Tags in a comment of a statement, as sqlcommenter writes them (https://google.github.io/sqlcommenter/spec/):
 *
 *     SELECT … /*application='shop',traceparent='00-…-01'*\/
 *
 * A claim of the client that goes into the record and nowhere else: no verdict looks at it. Only a
 * comment at the very end or beginning is looked at, so that a statement without one costs a look at
 * its first and last characters, and nothing inside a literal is taken for a comment.
 */

/** Characters of a comment; a longer one is prose. */
const MAX_COMMENT = 4096;
const MAX_TAGS = 16;
/** Characters, decoded: tracestate has up to 512. */
const MAX_VALUE = 512;
const KEY = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
/** W3C Trace Context §3.2; what a later version adds stands behind another dash. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const SLASH = 0x2f;
const STAR = 0x2a;

/** @returns undefined: there are none. In order of their names. */
export function commentTags(text: string): Readonly<Record<string, string>> | undefined {
  const comment = lastComment(text) ?? firstComment(text);
  if (comment === undefined || comment.length > MAX_COMMENT || !comment.includes('=')) {
    return undefined;
  }
  return parseTags(comment);
}

/** The comment that the text ends with, but for semicolons and white space. */
function lastComment(text: string): string | undefined {
  let end = text.length;
  while (end > 0 && isFiller(text.charCodeAt(end - 1))) {
    end -= 1;
  }
  if (text.charCodeAt(end - 1) !== SLASH || text.charCodeAt(end - 2) !== STAR) {
    return undefined;
  }
  const start = text.lastIndexOf('/*', end - 4);
  return start < 0 ? undefined : text.slice(start + 2, end - 2);
}

function firstComment(text: string): string | undefined {
  let start = 0;
  while (start < text.length && isFiller(text.charCodeAt(start))) {
    start += 1;
  }
  if (text.charCodeAt(start) !== SLASH || text.charCodeAt(start + 1) !== STAR) {
    return undefined;
  }
  const end = text.indexOf('*/', start + 2);
  return end < 0 ? undefined : text.slice(start + 2, end);
}

/** White space and semicolons. */
function isFiller(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0x3b;
}

/** All of it must be tags: what is half one is prose, or a hint for a planner. */
function parseTags(comment: string): Readonly<Record<string, string>> | undefined {
  const tags = new Map<string, string>();
  let at = skipSpace(comment, 0);
  for (;;) {
    const equals = comment.indexOf('=', at);
    const value = equals < 0 ? undefined : quoted(comment, equals + 1);
    const key = value === undefined ? undefined : decode(comment.slice(at, equals).trim());
    if (value === undefined || key === undefined || !KEY.test(key)) {
      return undefined;
    }
    const text = decode(value.text);
    if (text !== undefined && tags.size < MAX_TAGS && isUsable(key, text)) {
      tags.set(key, text);
    }
    at = skipSpace(comment, value.end);
    if (at >= comment.length) {
      break;
    }
    if (comment[at] !== ',') {
      return undefined;
    }
    at = skipSpace(comment, at + 1);
  }
  const sorted = [...tags].sort(([one], [other]) => (one < other ? -1 : 1));
  return sorted.length === 0 ? undefined : Object.fromEntries(sorted);
}

function isUsable(key: string, text: string): boolean {
  return text.length <= MAX_VALUE && (key !== 'traceparent' || isTraceparent(text));
}

/** `'…'` from there on, with `\'` for a quote inside. */
function quoted(comment: string, from: number): { text: string; end: number } | undefined {
  const start = skipSpace(comment, from);
  if (comment[start] !== "'") {
    return undefined;
  }
  let text = '';
  for (let at = start + 1; at < comment.length; at += 1) {
    const character = comment[at] ?? '';
    if (character === "'") {
      return { text, end: at + 1 };
    }
    if (character === '\\') {
      at += 1;
    }
    text += comment[at] ?? '';
  }
  return undefined;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= 0x20) {
    at += 1;
  }
  return at;
}

function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    return decoded.isWellFormed() ? decoded : undefined;
  } catch {
    return undefined;
  }
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
export function isTraceparent(text: string): boolean {
  const found = TRACEPARENT.exec(text);
  if (found === null) {
    return false;
  }
  const [, version, trace = '', parent = '', more] = found;
  if (version === 'ff' || (version === '00' && more !== undefined)) {
    return false;
  }
  return !/^0+$/.test(trace) && !/^0+$/.test(parent);
}
