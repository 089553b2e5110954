/** Session ids are UUIDv7 (RFC 9562 §5.7): they sort by time and need no coordination. */
import { FormatError } from './format-error.ts';

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** @param random 16 random bytes, of which 74 bits are used. */
export function newSessionId(nowMs: number, random: Uint8Array): string {
  const bytes = Buffer.from(random.subarray(0, 16));
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return formatSessionId(bytes);
}

export function isSessionId(text: string): boolean {
  return PATTERN.test(text);
}

/** @throws FormatError unless it is a UUIDv7 in lower case. */
export function sessionIdBytes(session: string): Uint8Array {
  if (!isSessionId(session)) {
    throw new FormatError('a session ID is malformed');
  }
  return Buffer.from(session.replaceAll('-', ''), 'hex');
}

export function formatSessionId(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}
