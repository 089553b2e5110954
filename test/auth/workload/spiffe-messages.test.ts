import { describe, expect, test } from 'vitest';
import {
  decodeJwtSvidResponse,
  encodeJwtSvidRequest,
  SpiffeFormatError,
} from '../../../src/auth/workload/spiffe-messages.ts';

/** One frame: not compressed, with its length. */
function frame(hex: string): Buffer {
  const message = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe('messages of the SPIFFE Workload API', () => {
  test('a request has its audience in field 1 and the identity in field 2', () => {
    expect(encodeJwtSvidRequest('gw', undefined).toString('hex')).toBe('0000000004' + '0a026777');
    expect(encodeJwtSvidRequest('gw', 'spiffe://a').toString('hex')).toBe(
      '0000000010' + '0a026777' + '120a7370696666653a2f2f61',
    );
  });

  test('a text longer than 127 bytes has a length of two bytes', () => {
    const request = encodeJwtSvidRequest('x'.repeat(300), undefined);
    expect(request.subarray(5, 8).toString('hex')).toBe('0aac02');
    expect(request.length).toBe(5 + 3 + 300);
  });

  test('an answer has its identities in order, and fields that are not known are skipped', () => {
    const answer = frame(
      `
      0a 0a  0a 03 69 64 31  12 03 74 6b 31    # svids: spiffe_id "id1", svid "tk1"
      18 96 01                                 # field 3, a number
      21 00 00 00 00 00 00 00 00               # field 4, eight bytes
      2d 00 00 00 00                           # field 5, four bytes
      0a 0d  0a 03 69 64 32  12 03 74 6b 32  1a 01 68   # and with a hint
    `.replaceAll(/#.*/g, ''),
    );
    expect(decodeJwtSvidResponse(answer)).toEqual([
      { spiffeId: 'id1', token: 'tk1' },
      { spiffeId: 'id2', token: 'tk2' },
    ]);
  });

  test.each([
    ['nothing', Buffer.alloc(0), 'no message'],
    ['half a header', Buffer.alloc(4), 'no message'],
    ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), 'compressed'],
    ['a length that is too long', Buffer.from([0, 0, 0, 0, 9, 1]), 'length'],
    ['two messages', Buffer.concat([frame(''), frame('')]), 'length'],
    ['a field that is cut short', frame('0a 7f 0a'), 'cut short'],
    ['a field of 2^63 bytes', frame('0a ff ff ff ff ff ff ff ff 7f'), 'cut short'],
    ['a number without an end', frame('ff ff ff ff ff ff ff ff ff ff ff ff'), 'too long'],
    ['a group, which protobuf 3 has not', frame('0b'), 'unknown form'],
    ['an identity without a token', frame('0a 05 0a 03 69 64 31'), 'no name or no token'],
    ['an identity without a name', frame('0a 05 12 03 69 64 31'), 'no name or no token'],
    ['very many identities', frame('0a 06 0a 01 61 12 01 62'.repeat(101)), 'more than 100'],
  ])('%s is refused', (_title, bytes, reason) => {
    expect(() => decodeJwtSvidResponse(bytes)).toThrow(reason);
  });

  test('random bytes give an error of their own kind or an answer, never another error', () => {
    let seed = 20_261_121;
    const random = (): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    let refused = 0;
    for (let round = 0; round < 5000; round += 1) {
      const bytes = Buffer.from(
        Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256)),
      );
      const framed = frame(bytes.toString('hex'));
      try {
        decodeJwtSvidResponse(random() < 0.9 ? framed : bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(SpiffeFormatError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
