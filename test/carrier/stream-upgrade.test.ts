import { describe, expect, test } from 'vitest';
import {
  encodeStreamAccept,
  encodeStreamRequest,
  readReplyHead,
} from '../../src/carrier/stream-upgrade.ts';
import { ProtocolError } from '../../src/errors.ts';

describe('the upgrade to a connection for streams', () => {
  test('is an HTTP/1.1 request', () => {
    const request = encodeStreamRequest('/v1/sessions/x/streams', { host: 'gw', dpop: 'p' });
    expect(request.toString()).toBe(
      'GET /v1/sessions/x/streams HTTP/1.1\r\nhost: gw\r\ndpop: p\r\nconnection: Upgrade\r\nupgrade: hoop-streams/1\r\n\r\n',
    );
  });

  test.each(['a\r\nx: y', 'a\nb', 'a\0'])('cannot be given a header with a line break', (value) => {
    expect(() => encodeStreamRequest('/', { authorization: value })).toThrow(TypeError);
  });

  test('is accepted in one packet with the hello, and read wherever it is cut', () => {
    const reply = Buffer.concat([encodeStreamAccept(), Buffer.from('rest')]);
    const length = encodeStreamAccept().length - 8;
    for (let at = 0; at <= reply.length; at += 1) {
      const head = readReplyHead(reply.subarray(0, at));
      if (at < length) {
        expect(head).toBeUndefined();
      } else {
        expect(head).toEqual({
          status: 101,
          headers: { connection: 'Upgrade', upgrade: 'hoop-streams/1' },
          length,
        });
      }
    }
    expect(reply.subarray(length).toString('latin1')).toBe('H\0\0\0\0\0\0\0rest');
  });

  test('is read whatever the case of a name and the space before a value', () => {
    const head = readReplyHead(Buffer.from('HTTP/1.1 401 No\r\nDPoP-Nonce:n1\r\nA:  b \r\n\r\n'));
    expect(head).toMatchObject({ status: 401, headers: { 'dpop-nonce': 'n1', a: 'b' } });
  });

  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 101\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 99 x\r\n\r\n'],
    ['a header without a name', 'HTTP/1.1 101 x\r\n: y\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 101 x\r\nupgrade\r\n\r\n'],
    ['too much of it', `HTTP/1.1 101 x\r\na: ${'b'.repeat(17_000)}`],
    ['too much of it, with an end', `HTTP/1.1 101 x\r\na: ${'b'.repeat(17_000)}\r\n\r\n`],
  ])('is no upgrade when the reply is %s', (_what, text) => {
    expect(() => readReplyHead(Buffer.from(text))).toThrow(ProtocolError);
  });
});
