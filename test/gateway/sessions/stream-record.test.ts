import { expect, test } from 'vitest';
import type { AskedApproval } from '../../../src/gateway/approvals/asked-approval.ts';
import { RecordingFailed, StreamRecord } from '../../../src/gateway/sessions/stream-record.ts';
import type { EvidenceLine, RecordingEvent } from '../../../src/recording/types.ts';
import { testGrant } from '../../connectors/postgres/gateway/engine-bench.ts';

interface Written {
  readonly record: StreamRecord;
  readonly events: RecordingEvent[];
  readonly lines: EvidenceLine[];
}

function written(): Written {
  const events: RecordingEvent[] = [];
  const lines: EvidenceLine[] = [];
  const record = new StreamRecord({
    stream: 3,
    grant: () => testGrant({ commit: 'c1' }),
    event: (event) => events.push(event),
    evidence: (line) => lines.push(line),
    recorded: () => undefined,
  });
  return { record, events, lines };
}

const ASKED: AskedApproval = {
  id: 'r1',
  binding: 'b',
  standing: { state: 'waiting', outcome: undefined, votes: [] },
  waitsUntilMs: 0,
  waits: true,
  lacking: [],
  decided: Promise.withResolvers<never>().promise,
  policyChanged: () => Promise.withResolvers<never>().promise,
  isKept: false,
  isUsed: async () => false,
  leave: async () => undefined,
  use: async () => undefined,
  end: async () => undefined,
};

function vote(name: string, decision: 'approve' | 'deny', reason: string | undefined) {
  return { by: { issuer: 'https://idp.example', sub: name, name }, decision, reason, atMs: 7 };
}

test('a request is held: in the events and on stream 0, with who may approve', () => {
  const { record, events, lines } = written();
  const terms = {
    groups: ['leads'],
    count: 2,
    timeoutSeconds: 60,
    maxHoldSeconds: 10,
    waits: true,
  };
  record.held({
    at: 40,
    asked: ASKED,
    demands: [{ rule: { id: 'p/r', file: 'p.yaml', line: 4 }, terms, hint: undefined }],
    message: 'DELETE is held',
  });
  const needs = [{ rule: 'p/r', groups: ['leads'], count: 2 }];
  expect(events).toEqual([
    {
      type: 'approval.held',
      ...{ stream: 3, at: 40, request: 'r1', needs, waits: true },
      ...{ waitsUntilMs: 0, binding: 'b', policyCommit: 'c1' },
    },
  ]);
  expect(lines).toEqual([
    {
      type: 'held',
      ...{ stream: 3, at: 40, request: 'r1', message: 'DELETE is held' },
      ...{ approvers: '2 of leads', waits: true, until: '1970-01-01T00:00:00.000Z' },
    },
  ]);
});

test('everybody who approved has a word on stream 0, with a name where there are several', () => {
  const { record, events, lines } = written();
  const votes = [vote('ann', 'approve', 'seen'), vote('ben', 'approve', 'go')];
  record.decided(40, 'r1', { votes, outcome: 'released' });
  record.decided(41, 'r2', { votes: votes.slice(0, 1), outcome: 'released' });
  expect(events.map(({ type }) => type)).toEqual([
    ...['approval.vote', 'approval.vote', 'approval.end'],
    ...['approval.vote', 'approval.end'],
  ]);
  expect(events[2]).toMatchObject({ outcome: 'released', policyCommit: 'c1' });
  expect(lines).toMatchObject([
    { request: 'r1', by: ['ann', 'ben'], message: 'ann: seen; ben: go' },
    { request: 'r2', by: ['ann'], message: 'seen' },
  ]);
});

test('of a denial those who denied are named, and no policy is said to have released it', () => {
  const { record, events, lines } = written();
  const votes = [vote('ann', 'approve', 'seen'), vote('ben', 'deny', 'not on a Friday')];
  record.decided(40, 'r1', { votes, outcome: 'denied' });
  expect(events.at(-1)).not.toHaveProperty('policyCommit');
  expect(lines).toMatchObject([{ by: ['ben'], message: 'not on a Friday' }]);
});

test('what cannot be written fails as the recording, whatever it was', () => {
  const cause = new Error('no space');
  const fail = (): never => {
    throw cause;
  };
  const record = new StreamRecord({
    ...{ stream: 1, grant: testGrant, event: fail, evidence: fail, recorded: fail },
  });
  const attempts = [
    () => record.written(),
    () => record.write({ type: 'cancel', stream: 1, forStream: 2 }),
    () => record.decided(0, 'r1', { votes: [], outcome: 'void' }),
  ];
  for (const attempt of attempts) {
    expect(attempt).toThrow(RecordingFailed);
    expect(attempt).toThrow(expect.objectContaining({ cause }));
  }
});
