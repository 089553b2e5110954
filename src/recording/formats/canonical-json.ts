/**
 * RFC 8785 (JCS): one JSON value, one sequence of bytes. https://www.rfc-editor.org/rfc/rfc8785
 *
 * Narrower than the RFC on purpose: numbers are safe integers. Everything signed here counts
 * things, and 64-bit values are decimal strings, so a fraction or an exponent is a sign of foul play.
 */

import { FormatError } from '../../format-error.ts';
import { fromUtf8 } from './encoding.ts';

/** Deeper than anything we write; keeps hostile nesting from using up the stack. */
const MAX_DEPTH = 64;

/** Members that are `undefined` are left out, as JSON.stringify does. */
export function canonicalJson(value: unknown): string {
  // This runs for every statement of a session, and the built-in is several times as fast.
  return isInOrder(value, 0) ? JSON.stringify(value) : serialize(value, 0);
}

/**
 * Whether JSON.stringify gives the canonical form: members in order, and nothing in it that we
 * refuse or that JSON.stringify writes in another way.
 */
function isInOrder(value: unknown, depth: number): boolean {
  if (typeof value === 'string') {
    return value.isWellFormed();
  }
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && !Object.is(value, -0);
  }
  if (typeof value !== 'object') {
    return typeof value === 'boolean';
  }
  if (value === null) {
    return true;
  }
  if (depth >= MAX_DEPTH || 'toJSON' in value) {
    return false;
  }
  if (Array.isArray(value)) {
    for (const item of value) {
      if (!isInOrder(item, depth + 1)) {
        return false;
      }
    }
    return true;
  }
  let last = '';
  for (const [key, member] of Object.entries(value)) {
    // Keys like "10" come first in any object, in the order of their numbers.
    if (key <= last && last !== '') {
      return false;
    }
    last = key;
    if (!key.isWellFormed() || (member !== undefined && !isInOrder(member, depth + 1))) {
      return false;
    }
  }
  return true;
}

/**
 * Reads JSON that must already be canonical: duplicate keys, rounded numbers, whitespace and
 * other spellings do not survive the way back. Check signatures over the bytes first.
 */
export function parseCanonicalJson(bytes: Uint8Array, what: string): unknown {
  const text = fromUtf8(bytes, what);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError(`${what} is not JSON`);
  }
  if (serialize(value, 0) !== text) {
    throw new FormatError(`${what} is not canonical JSON`);
  }
  return value;
}

function serialize(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) {
    throw new FormatError('JSON is nested too deeply');
  }
  switch (typeof value) {
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
        throw new FormatError('JSON holds a number that is not a safe integer');
      }
      return String(value);
    case 'string':
      if (!value.isWellFormed()) {
        throw new FormatError('JSON holds a string with half a surrogate pair');
      }
      return JSON.stringify(value);
    case 'object':
      break;
    default:
      throw new FormatError(`a ${typeof value} has no JSON form`);
  }
  if (value === null) {
    return 'null';
  }
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) {
      text += `${text === '' ? '' : ','}${serialize(item, depth + 1)}`;
    }
    return `[${text}]`;
  }
  const members: Readonly<Record<string, unknown>> = { ...value };
  // The default order compares UTF-16 code units, which is what RFC 8785 §3.2.3 asks for.
  for (const key of Object.keys(members).sort()) {
    const member = members[key];
    if (member !== undefined) {
      text += `${text === '' ? '' : ','}${serialize(key, depth + 1)}:${serialize(member, depth + 1)}`;
    }
  }
  return `{${text}}`;
}
