/**
 * The HTTP/1.1 upgrade that opens a connection for streams (RFC 9110 §7.8): what both ends write and read.
 *
 *   GET /v1/sessions/ID/streams HTTP/1.1             HTTP/1.1 101 Switching Protocols
 *   connection: Upgrade                              connection: Upgrade
 *   upgrade: hoop-streams/1                           upgrade: hoop-streams/1
 *   authorization, dpop: as any other request
 *                                                    hello frame, then frames both ways
 */
import { ProtocolError } from '../errors.ts';
import { HELLO } from '../protocol/carrier/frames.ts';

/** The name of the protocol with the version of its frames. */
export const STREAM_PROTOCOL = 'hoop-streams/1';

/** Node's own limit for requests. */
const MAX_HEAD_BYTES = 16 * 1024;
const END_OF_HEAD = '\r\n\r\n';
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: .*)?$/;

/** The reply that switches, with the hello right behind it: one write, one packet. */
export function encodeStreamAccept(): Buffer {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'connection: Upgrade',
    `upgrade: ${STREAM_PROTOCOL}`,
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}${END_OF_HEAD}`, 'latin1'), HELLO]);
}

/**
 * @param target path and query
 * @throws TypeError for text that would end a header early
 */
export function encodeStreamRequest(
  target: string,
  headers: Readonly<Record<string, string>>,
): Buffer {
  const lines = Object.entries({
    ...headers,
    connection: 'Upgrade',
    upgrade: STREAM_PROTOCOL,
  }).map(([name, value]) => `${name}: ${value}`);
  const all = [`GET ${target} HTTP/1.1`, ...lines];
  if (all.some((line) => /[\r\n\0]/.test(line))) {
    throw new TypeError('a header cannot hold a line break');
  }
  return Buffer.from(`${all.join('\r\n')}${END_OF_HEAD}`, 'latin1');
}

export interface ReplyHead {
  readonly status: number;
  /** By lower-case name; of a repeated one the last. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes up to and with the empty line. */
  readonly length: number;
}

/**
 * @param bytes all that came so far
 * @returns undefined while the head is not complete
 * @throws ProtocolError when this is no HTTP, or too much of it
 */
export function readReplyHead(bytes: Buffer): ReplyHead | undefined {
  const end = bytes.indexOf(END_OF_HEAD, 0, 'latin1');
  if (end === -1 ? bytes.length >= MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) {
    throw new ProtocolError('the reply to the upgrade has more header than any gateway sends');
  }
  if (end === -1) {
    return undefined;
  }
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const [, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) {
    throw new ProtocolError('the reply to the upgrade is not HTTP/1.1');
  }
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) {
      throw new ProtocolError('the reply to the upgrade has a header without a name');
    }
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(status), headers, length: end + END_OF_HEAD.length };
}
