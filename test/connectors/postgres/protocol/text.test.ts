import { describe, expect, test } from 'vitest';
import {
  decodeQuery,
  encodeParse,
  encodeQuery,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  decodeStartupMessage,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { BYTES, UTF8 } from '../../../../src/connectors/postgres/protocol/text-codec.ts';

describe('text of messages', () => {
  test('a NUL in a string is refused: it would begin the next field', () => {
    const parameters = new Map([['application_name', 'x\0user\0admin']]);
    expect(() => encodeStartupMessage({ majorVersion: 3, minorVersion: 0, parameters })).toThrow(
      expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
    );
    expect(() => encodeQuery({ sql: 'SELECT 1\0' })).toThrow('NUL');
    expect(() => encodeQuery({ sql: 'SELECT 1\0' }, BYTES)).toThrow('NUL');
  });

  test('of a setting that a startup packet has twice the last counts, and nothing else comes twice', () => {
    const startup = (name: string) =>
      decodeStartupMessage(Buffer.from(`\0\x03\0\0${name}\0a\0${name}\0b\0\0`, 'latin1'));
    // asyncpg has client_encoding twice if its server_settings name one.
    expect([...startup('client_encoding').parameters]).toEqual([['client_encoding', 'b']]);
    for (const name of ['user', 'database', 'options', 'replication', '_pq_.x']) {
      expect(() => startup(name), name).toThrow('gives a parameter twice');
    }
  });

  test('an unpaired surrogate is refused, because UTF-8 has no form of it', () => {
    expect(() => encodeQuery({ sql: "SELECT '\ud800'" })).toThrow(
      expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
    );
  });

  test('BYTES keeps every byte', () => {
    const bytes = Uint8Array.from({ length: 255 }, (_, at) => at + 1);
    const body = Buffer.concat([bytes, Buffer.of(0)]);
    const { sql } = decodeQuery(body, BYTES);
    expect(Buffer.from(encodeQuery({ sql }, BYTES)).subarray(5).equals(body)).toBe(true);
    expect(() => BYTES.encode('€')).toThrow(expect.objectContaining({ code: 'HOOP_PROTOCOL' }));
  });

  test('two names that differ as bytes differ as UTF8 text, or are refused', () => {
    expect(UTF8.decode(Buffer.from('c3a9', 'hex'))).toBe('é');
    expect(() => UTF8.decode(Buffer.from('e9', 'hex'))).toThrow(
      expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
    );
  });

  test('numbers at the place where the buffer of a message grows are written', () => {
    for (let length = 40; length < 80; length++) {
      const bytes = encodeParse({
        statement: '',
        sql: 'x'.repeat(length),
        parameterTypes: [1, 2, 3, 0xffffffff],
      });
      expect(Buffer.from(bytes.slice(-18)).toString('hex')).toBe(
        '0004000000010000000200000003ffffffff',
      );
    }
  });

  test('numbers that do not fit their field are refused', () => {
    for (const oid of [-1, 2 ** 32, 1.5, Number.NaN]) {
      expect(() => encodeParse({ statement: '', sql: '', parameterTypes: [oid] })).toThrow(
        expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
      );
    }
  });
});
