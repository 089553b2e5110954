/**
 * Whether a connection begins as PostgreSQL's does: a length and a code, as in every startup packet.
 * https://www.postgresql.org/docs/18/protocol-message-formats.html
 *
 * What is allowed through the fence is a list of names; this is for the name that turns out to be a
 * database, which must not be talked to past hoop. TLS without a question before it
 * (sslnegotiation=direct) looks like any other TLS and is not seen.
 */
const HEADER_LENGTH = 8;
const PROTOCOL_3 = 3;
/** CancelRequest, SSLRequest, GSSENCRequest: 1234 in the upper half. */
const REQUEST = 1234;
/** MAX_STARTUP_PACKET_LENGTH of the server. */
const MAX_LENGTH = 10_000;

export function startsPostgres(bytes: Buffer): 'yes' | 'no' | 'unknown' {
  if (bytes.length < HEADER_LENGTH) {
    // The first byte of a length is 0, which nothing else begins with that is known here.
    return bytes.length === 0 || bytes[0] === 0 ? 'unknown' : 'no';
  }
  const length = bytes.readUInt32BE(0);
  const major = bytes.readUInt16BE(4);
  const isStartup = major === PROTOCOL_3 || major === REQUEST;
  return length >= HEADER_LENGTH && length <= MAX_LENGTH && isStartup ? 'yes' : 'no';
}
