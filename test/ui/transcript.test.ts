import { describe, expect, test } from 'vitest';
import type { EvidenceLine } from '../../src/recording/verify/evidence-lines.ts';
import { collectReplay } from '../../src/ui/replay/replay-model.ts';
import { timeOf, transcriptLines } from '../../src/ui/replay/transcript.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import {
  bind,
  bindComplete,
  complete,
  error,
  execute,
  notice,
  parse,
  parseComplete,
  query,
  RecordedStream,
  ready,
  sync,
} from '../replay/recorded-stream.ts';
import { buildTimeline } from '../replay/timeline.ts';

function transcript(stream: RecordedStream, width?: number): string {
  const entries = [...buildTimeline(stream.items)];
  const [first] = entries;
  const startMs = first === undefined ? 0 : timeOf(first);
  const options = { style: styleFor(false), width, startMs };
  return entries.flatMap((entry) => transcriptLines(entry, options)).join('\n');
}

const REQUEST = '7k3mq9xw2c4d';
const MESSAGE = `DELETE on public.orders is held for approval, request ${REQUEST}`;

function held(at: number): EvidenceLine {
  const approvers = 'one person of the group dba';
  const until = '2026-03-01T13:05:09.000Z';
  const line = { type: 'held', stream: 1, at, request: REQUEST, message: MESSAGE } as const;
  return { ...line, approvers, waits: true, until };
}

function decided(
  at: number,
  end: Pick<Extract<EvidenceLine, { type: 'decided' }>, 'outcome' | 'by' | 'message'>,
): EvidenceLine {
  return { type: 'decided', stream: 1, at, request: REQUEST, ...end };
}

describe('a statement that waited for people', () => {
  test('is shown with its text first, then the hold, the decision with its reason, the result', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream
      .up(query('DELETE FROM orders WHERE id = 1'))
      .decision(at, { effect: 'approve', rules: [{ id: 'p/deletes', file: 'p.yaml', line: 3 }] })
      .wait(12)
      .evidence(held(at))
      .down(notice(MESSAGE))
      .wait(2000)
      .evidence(decided(at, { outcome: 'released', by: ['dba@example.com'], message: 'a test' }))
      .down(complete('DELETE 1'), ready())
      .result(at, { tag: 'DELETE 1' });
    expect(transcript(stream)).toContain(`#1 ✓ approved on connection 1, DELETE 1, 2.0 s
    DELETE FROM orders WHERE id = 1
    needs approval: by p/deletes (p.yaml:3), policy 0123456789ab
    held: ${MESSAGE}; by one person of the group dba
    approved after 2.0 s by dba@example.com: a test
    DELETE 1
`);
    // Said once, and the view's list has no lines of their own for it.
    expect(transcript(stream).split(REQUEST)).toHaveLength(2);
    const header = { session: '', target: '', principal: '', reason: undefined } as const;
    const view = collectReplay(
      { ...header, verdict: '', verified: 'yes' },
      buildTimeline(stream.items),
    );
    expect(view.entries.map(({ type }) => type)).toEqual(['connection.open', 'statement']);
  });

  test('of the extended protocol has both at its Execute, and a denial in its words', () => {
    const stream = new RecordedStream().start();
    const at = stream.upOffset;
    stream.up(parse('DELETE FROM orders WHERE id = $1'), bind(['1']));
    const executed = stream.upOffset;
    stream
      .up(execute(), sync())
      .decision(at, { effect: 'approve' })
      .down(parseComplete(), bindComplete())
      .evidence(held(executed))
      .wait(61_000)
      .evidence(decided(executed, { outcome: 'denied', by: ['dba'], message: 'no\x1b[2J' }))
      .down(error('42501', 'DELETE on public.orders was not approved'), ready());
    const text = transcript(stream);
    expect(text).toContain(`    held: ${MESSAGE}; by one person of the group dba
    denied after 1 min 1 s by dba: no⟪U+001B⟫[2J
    ERROR:  DELETE on public.orders was not approved (42501)`);
  });

  test('lines about a statement that is not there are shown by themselves', () => {
    const stream = new RecordedStream().start().evidence(held(4711));
    expect(transcript(stream)).toContain(`held: ${MESSAGE}; by one person of the group dba`);
  });
});

describe('the end of a session', () => {
  const message = 'the session has reached its longest time';
  test('says its reason once', () => {
    const stream = new RecordedStream()
      .start()
      .evidence({ type: 'closing', reason: 'expired', message })
      .event({ type: 'session.close', reason: 'expired', message });
    const text = transcript(stream);
    expect(text).toContain(`closing: ${message}\n`);
    expect(text).toMatch(/session ended \(expired\)$/);
  });

  test('says it where both sides have signed another, or none', () => {
    const stream = new RecordedStream()
      .start()
      .evidence({ type: 'closing', reason: 'closed', message: 'closed by its owner' })
      .event({ type: 'session.close', reason: 'expired', message });
    expect(transcript(stream)).toMatch(/closing: closed by its owner\n.*ended \(expired\): the/);
    const alone = new RecordedStream()
      .start()
      .event({ type: 'session.close', reason: 'expired', message });
    expect(transcript(alone)).toMatch(/session ended \(expired\): the session/);
  });
});

test('what stands beside a time is broken between words, under itself', () => {
  const stream = new RecordedStream()
    .start()
    .event({ type: 'session.close', reason: 'closed', message: 'word '.repeat(20).trim() });
  const lines = transcript(stream, 60).split('\n').slice(1);
  expect(lines.every((line) => line.length <= 60)).toBe(true);
  expect(lines[0]).toMatch(/^ {2,}\d:\d\d\.\d{3} {2}session ended \(closed\): word/);
  expect(lines[1]).toMatch(/^ {12}word/);
});
