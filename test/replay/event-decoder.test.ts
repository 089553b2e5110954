import { expect, test } from 'vitest';
import type { RecordingEvent } from '../../src/recording/formats/types.ts';
import { buildTimeline, type RecordedItem } from '../../src/replay/build-timeline.ts';

const NONE = new Map();
const OPEN = { type: 'stream.open', stream: 1, kind: 'toy' } as const;
const HELD = {
  type: 'approval.held',
  ...{ stream: 1, request: 'r1', needs: [], waits: true, waitsUntilMs: 0 },
  ...{ binding: 'b', policyCommit: 'c0' },
} as const;

function decided(at: number, text: string, more: object = {}): RecordingEvent {
  const about = { verbs: ['SET'], relations: [], columnsMasked: [], rules: [], code: undefined };
  return {
    ...{ type: 'decision', stream: 1, at, statement: at + 1, effect: 'allow' },
    ...{ ...about, policyCommit: 'c0', message: undefined, view: viewOf(text), ...more },
  } as RecordingEvent;
}

function viewOf(text: string) {
  return [{ type: 'code' as const, language: 'toy', text }];
}

function entries(...items: readonly (RecordingEvent | RecordedItem)[]) {
  const bytes = { timeMs: 1, stream: 1, direction: 0 as const, offset: 0, bytes: Buffer.of(1) };
  return [
    ...buildTimeline(
      [
        { type: 'event', timeMs: 0, event: OPEN },
        { type: 'data', piece: bytes },
        ...items.map(
          (item): RecordedItem =>
            item.type === 'event' || item.type === 'data' || item.type === 'evidence'
              ? item
              : { type: 'event', timeMs: 2, event: item },
        ),
      ],
      NONE,
    ),
  ];
}

function line(
  type: 'held' | 'decided',
  outcome: 'denied' | 'released' | 'withdrawn',
): RecordedItem {
  const common = { stream: 1, at: 0, request: 'r1', message: 'it is' };
  return {
    type: 'evidence',
    timeMs: 3,
    line:
      type === 'held'
        ? { type, ...common, approvers: 'leads', waits: true, until: '' }
        : { type, ...common, outcome, by: [] },
  };
}

test('an operation that is held is one entry, with what became of it', () => {
  const held = { ...HELD, at: 0, view: viewOf('SET a 1') };
  expect(
    entries(held, line('held', 'denied'), line('decided', 'released'), decided(0, 'SET a 1'), {
      ...{ type: 'result', stream: 1, at: 0, statement: 1, rows: 0, maskedValues: 0 },
      ...{ detected: {}, tag: 'OK', sqlState: undefined },
    }).filter(({ type }) => type === 'statement'),
  ).toMatchObject([
    {
      ...{ number: 1, text: 'SET a 1', outcome: 'ok', results: [{ tag: 'OK' }] },
      approvals: [{ type: 'held' }, { type: 'decided', outcome: 'released' }],
    },
  ]);
  // Nobody decided about it again: whoever asked had left.
  expect(
    entries(held, line('held', 'denied'), line('decided', 'withdrawn')).filter(
      ({ type }) => type === 'statement',
    ),
  ).toMatchObject([{ text: 'SET a 1', outcome: 'denied', decisions: [] }]);
});

test('what is no view is not drawn, whoever wrote it, and what has no answer is said to have none', () => {
  const nonsense = [null, 'code', [{ type: 'code' }], [{ type: 'script', text: 'x' }], { 0: 1 }];
  for (const view of nonsense) {
    expect(entries(decided(0, '', { view }))).toMatchObject([
      { type: 'unreadable', message: 'hoop cannot read "toy"' },
    ]);
  }
  expect(entries(decided(0, 'GET a'), decided(6, 'GET b', { effect: 'fail' }))).toMatchObject([
    { number: 2, text: 'GET b', outcome: 'failed' },
    { number: 1, text: 'GET a', outcome: 'unanswered' },
  ]);
});

test('where one of several says nothing of itself, it is said that not all is shown', () => {
  const held = { ...HELD, at: 0, view: viewOf('SET a 1') };
  expect(entries(held, decided(6, '', { view: undefined }))).toMatchObject([
    { type: 'statement', text: 'SET a 1' },
    { type: 'unreadable', message: 'hoop cannot read "toy"' },
  ]);
});

test('however many are open only so many are kept, and each is shown once', () => {
  const many = Array.from({ length: 2000 }, (_, index) => decided(index, `GET ${index}`));
  const shown = entries(...many);
  expect(new Set(shown.map((entry) => entry.type === 'statement' && entry.number)).size).toBe(2000);
});
