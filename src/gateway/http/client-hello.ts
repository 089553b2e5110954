/**
 * How much of a client's first message is there: the ClientHello of TLS (RFC 8446, 4.1.2 and 5.1), in
 * one record or several. It is not read any further than its length: that is OpenSSL's business.
 */

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
/** RFC 8446, 5.1: of one record. */
const MAX_RECORD = 16_384;
/** The longest that browsers send are two kilobytes; a ticket of ours is another one at the most. */
const MAX_HELLO = 16_384;
/** Who parts it says it in two or three; of one byte each they would be gone through again and again. */
const MAX_RECORDS = 16;

/**
 * @param bytes all so far, from the first one
 * @returns bytes that have to come at the least until more can be said; 0: it is there, or is no
 *   ClientHello, which is answered at once; undefined: it is larger than any that is meant
 */
export function missingOfHello(bytes: Buffer): number | undefined {
  const message: Buffer[] = [];
  let have = 0;
  for (let at = 0, records = 0; ; records += 1) {
    if (records === MAX_RECORDS) return undefined;
    if (at < bytes.length && bytes[at] !== HANDSHAKE) return 0;
    const start = at + RECORD_HEADER;
    if (bytes.length < start) return start - bytes.length;
    const length = bytes.readUInt16BE(at + 3);
    // OpenSSL refuses them.
    if (length === 0 || length > MAX_RECORD) return 0;
    if (bytes.length < start + length) return start + length - bytes.length;
    message.push(bytes.subarray(start, start + length));
    have += length;
    at = start + length;
    if (have < MESSAGE_HEADER) continue;
    const head = Buffer.concat(message, MESSAGE_HEADER);
    if (head[0] !== CLIENT_HELLO) return 0;
    const wanted = MESSAGE_HEADER + head.readUIntBE(1, 3);
    if (wanted > MAX_HELLO) return undefined;
    if (have >= wanted) return 0;
  }
}
