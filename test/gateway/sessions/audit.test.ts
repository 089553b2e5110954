import { expect, test } from 'vitest';
import type { AskedApproval } from '../../../src/gateway/approvals/asked-approval.ts';
import {
  operation,
  RecordingFailed,
  StreamAudit,
} from '../../../src/gateway/audit/stream-audit.ts';
import type { RecordingEvent } from '../../../src/recording/formats/types.ts';
import type { EvidenceLine } from '../../../src/recording/verify/evidence-lines.ts';
import { testGrant } from '../../connectors/postgres/gateway/engine-bench.ts';
import { auditSink } from '../audit-sink.ts';

interface Written {
  readonly audit: StreamAudit;
  readonly events: RecordingEvent[];
  readonly lines: EvidenceLine[];
}

function written(): Written {
  const events: RecordingEvent[] = [];
  const lines: EvidenceLine[] = [];
  const audit = new StreamAudit(
    3,
    () => testGrant({ commit: 'c1' }),
    auditSink({
      prompt: 'p1',
      event: (event) => events.push(event),
      evidence: (line) => lines.push(line),
    }),
  );
  return { audit, events, lines };
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
  const { audit, events, lines } = written();
  const terms = {
    groups: ['leads'],
    count: 2,
    timeoutSeconds: 60,
    maxHoldSeconds: 10,
    waits: true,
  };
  audit.held({
    at: 40,
    asked: ASKED,
    demands: [{ rule: { id: 'p/r', file: 'p.yaml', line: 4 }, terms, hint: undefined }],
    message: 'DELETE is held',
    view: [{ type: 'code', language: 'sql', text: 'DELETE \ud800' }],
  });
  const needs = [{ rule: 'p/r', groups: ['leads'], count: 2 }];
  expect(events).toEqual([
    {
      type: 'approval.held',
      ...{ stream: 3, at: 40, request: 'r1', needs, waits: true },
      ...{ waitsUntilMs: 0, binding: 'b', policyCommit: 'c1' },
      view: [{ type: 'code', language: 'sql', text: 'DELETE \ufffd' }],
    },
  ]);
  expect(lines).toEqual([
    {
      type: 'held',
      ...{ stream: 3, at: 40, request: 'r1', message: 'DELETE is held' },
      ...{
        approvers: '2 people of the group leads',
        waits: true,
        until: '1970-01-01T00:00:00.000Z',
      },
    },
  ]);
});

test('everybody who approved has a word on stream 0, with a name where there are several', () => {
  const { audit, events, lines } = written();
  const votes = [vote('ann', 'approve', 'seen'), vote('ben', 'approve', 'go')];
  audit.holdEnded(40, 'r1', { votes, outcome: 'released' });
  audit.holdEnded(41, 'r2', { votes: votes.slice(0, 1), outcome: 'released' });
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
  const { audit, events, lines } = written();
  const votes = [vote('ann', 'approve', 'seen'), vote('ben', 'deny', 'not on a Friday')];
  audit.holdEnded(40, 'r1', { votes, outcome: 'denied' });
  expect(events.at(-1)).not.toHaveProperty('policyCommit');
  expect(lines).toMatchObject([{ by: ['ben'], message: 'not on a Friday' }]);
});

test('operations are counted, and say the prompt and the policy in force', () => {
  const { audit, events, lines } = written();
  const rule = { id: 'p/r', file: 'p.yaml', line: 4 };
  const asking = operation('exec', { touches: ['sh', 'sh'], rules: [rule], approvals: [{ rule }] });
  expect(audit.allowed(0, operation('shell'))).toBe(1);
  expect(audit.allowed(7, asking)).toBe(2);
  audit.refused(9, operation('exec', { refusal: { rule } }), {
    ...{ code: 'HOOP_DENIED', message: 'denied', detail: undefined, hint: undefined, rule },
    position: undefined,
  });
  audit.ended(7, 2, { tag: 'exit 0' });
  const inForce = { stream: 3, prompt: 'p1', policyCommit: 'c1' };
  expect(events).toMatchObject([
    { ...inForce, type: 'decision', effect: 'allow', statement: 1, verbs: ['shell'], rules: [] },
    { ...inForce, effect: 'approve', statement: 2, relations: ['sh'], rules: [rule] },
    { ...inForce, effect: 'refuse', statement: 3, code: 'HOOP_DENIED', rules: [rule] },
    { type: 'result', stream: 3, at: 7, statement: 2, tag: 'exit 0', rows: 0, detected: {} },
  ]);
  expect(lines).toMatchObject([{ type: 'denied', at: 9, code: 'HOOP_DENIED', rule: 'p/r' }]);
});

test('what cannot be written fails as the recording, whatever it was', () => {
  const cause = new Error('no space');
  const fail = (): never => {
    throw cause;
  };
  const sink = auditSink({
    ...{ event: fail, evidence: fail, record: { write: fail, whenWritten: fail, whenHeld: fail } },
  });
  const audit = new StreamAudit(1, testGrant, sink);
  const attempts = [
    () => audit.write(),
    () => audit.tell({ type: 'cancel', stream: 1, forStream: 2 }),
    () => audit.holdEnded(0, 'r1', { votes: [], outcome: 'void' }),
  ];
  for (const attempt of attempts) {
    expect(attempt).toThrow(RecordingFailed);
    expect(attempt).toThrow(expect.objectContaining({ cause }));
  }
});
