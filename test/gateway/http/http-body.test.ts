import { expect, test } from 'vitest';
import * as z from 'zod';
import { HoopError } from '../../../src/errors.ts';
import { errorReply } from '../../../src/gateway/base/http-errors.ts';
import { parseJson, readBody, readJson } from '../../../src/gateway/http/http-body.ts';

const Schema = z.object({ token: z.string(), n: z.number() });

function post(body: string | Uint8Array<ArrayBuffer> | ReadableStream): Request {
  return new Request('https://gw.test/', { method: 'POST', body, duplex: 'half' } as RequestInit);
}

test('a body up to the limit is read, one byte more is refused', async () => {
  expect((await readBody(post('a'.repeat(10)), 10)).length).toBe(10);
  await expect(readBody(post('a'.repeat(11)), 10)).rejects.toMatchObject({
    code: 'HOOP_TOO_LARGE',
  });
});

test('an endless body is refused while it comes', async () => {
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1;
      controller.enqueue(new Uint8Array(1000));
    },
  });
  await expect(readBody(post(endless), 10_000)).rejects.toMatchObject({ code: 'HOOP_TOO_LARGE' });
  expect(sent).toBeLessThan(20);
});

test.each([
  ['not JSON', '{"token": "hunter2"'],
  ['a wrong type', '{"token": "hunter2", "n": "hunter2"}'],
  ['null', 'null'],
  ['a deep nest', '['.repeat(50_000)],
])('%s is a protocol error that shows no value', async (_what, text) => {
  const refused = await readJson(post(text), Schema, 100_000).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(HoopError);
  expect(refused).toHaveProperty('code', 'HOOP_PROTOCOL');
  expect(JSON.stringify(errorReply(refused, 'id'))).not.toContain('hunter2');
});

test('bytes that are not UTF-8 are refused', async () => {
  await expect(
    readJson(post(new Uint8Array([0x7b, 0xff, 0x7d])), Schema, 100),
  ).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
});

test('__proto__ in a body changes nothing', () => {
  const value = parseJson('{"token":"t","n":1,"__proto__":{"admin":true}}', Schema);
  expect(value).toEqual({ token: 't', n: 1 });
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
});

test('an error that is a bug tells the client its request id and nothing else', () => {
  const { status, body } = errorReply(new TypeError('row (1, secret)'), 'req-1');
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain('secret');
  expect(JSON.stringify(body)).toContain('req-1');
});
