const HEADER_LENGTH = 5;
const POSITION = 'P'.charCodeAt(0);

/**
 * Errors of a statement that was sent by itself say where it is in the client's text.
 * @param message ErrorResponse or NoticeResponse: fields of one letter and text, each ended by 0
 * @param characters of the text that stand before the statement
 */
export function movedPosition(message: Uint8Array, characters: number): Uint8Array {
  if (characters === 0) return message;
  for (let at = HEADER_LENGTH; at < message.length && message[at] !== 0; ) {
    const end = message.indexOf(0, at + 1);
    if (end === -1) return message;
    if (message[at] === POSITION) {
      const position = Number(Buffer.from(message.subarray(at + 1, end)).toString('latin1'));
      const moved = Buffer.from(String(position + characters), 'latin1');
      const whole = Buffer.concat([message.subarray(0, at + 1), moved, message.subarray(end)]);
      whole.writeInt32BE(whole.length - 1, 1);
      return whole;
    }
    at = end + 1;
  }
  return message;
}
