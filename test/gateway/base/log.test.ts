import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import { createLog, errorFields } from '../../../src/gateway/base/log.ts';
import { readAll } from '../../read-all.ts';

function logTo(json: boolean) {
  const stream = new PassThrough({ encoding: 'utf8' });
  const log = createLog({ stream, json, clock: () => Date.UTC(2026, 0, 2, 3, 4, 5) });
  return { log, written: () => String(readAll(stream)) };
}

test('a line is one JSON object with the fields of its context', () => {
  const { log, written } = logTo(true);
  log.with({ session: 's1' }).info('stream.open', { stream: 2 });
  expect(JSON.parse(written())).toEqual({
    time: '2026-01-02T03:04:05.000Z',
    level: 'info',
    event: 'stream.open',
    session: 's1',
    stream: 2,
  });
});

test('lines below the level are not written', () => {
  const { log, written } = logTo(true);
  log.debug('noise');
  expect(written()).toBe('');
});

test('control characters in names do not reach a terminal', () => {
  const { log, written } = logTo(false);
  log.info('session.start', { principal: 'eve\u001b[2J\n\u202efake' });
  expect(written()).toBe(
    '2026-01-02T03:04:05.000Z info session.start principal="eve\\u001b[2J\\n\\u202efake"\n',
  );
});

test('a value longer than 2000 characters is cut', () => {
  const { log, written } = logTo(true);
  log.info('x', { path: 'a'.repeat(5000) });
  expect(written().length).toBeLessThan(2200);
});

test('the text of an unknown error stays out of the log, its place goes in', () => {
  const fields = errorFields(new Error('duplicate key (ssn)=(123-45-6789)'));
  expect(JSON.stringify(fields)).not.toContain('123-45');
  expect(fields['message']).toBe('Error');
  expect(String(fields['at'])).toContain('log.test');
});

test('a HoopError is logged with code and text, its cause without content', () => {
  const cause = new Error('secret row');
  const fields = errorFields(new HoopError('HOOP_CONFIG', 'cannot read "x"', { cause }));
  expect(fields).toEqual({
    code: 'HOOP_CONFIG',
    message: 'cannot read "x"',
    detail: undefined,
    cause: 'Error',
  });
});
