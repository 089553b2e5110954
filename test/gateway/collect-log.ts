import { Writable } from 'node:stream';
import { createLog, type Log } from '../../src/gateway/base/log.ts';

/** A log whose lines can be looked at. */
export function collectLog(): { log: Log; events: Record<string, unknown>[]; text: () => string } {
  const events: Record<string, unknown>[] = [];
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      events.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  return { log: createLog({ stream, json: true, level: 'debug' }), events, text: () => text };
}
