import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/recording/formats/canonical-json.ts';
import { eventJson } from '../../src/recording/formats/event-json.ts';
import type { RecordingEvent } from '../../src/recording/formats/types.ts';

const DECISION = {
  type: 'decision',
  stream: 3,
  at: 4_294_967_296,
  statement: 7,
  effect: 'allow',
  verbs: ['select'],
  relations: ['public.orders', 'public."größe"'],
  columnsMasked: [],
  outputsMasked: [0, 2],
  rules: [{ file: 'policies/a.yaml', grant: 'g-1', id: 'work', line: 4 }],
  code: undefined,
  message: undefined,
  policyCommit: 'a'.repeat(40),
} as const satisfies RecordingEvent;

const RESULT = {
  type: 'result',
  stream: 3,
  at: 12,
  statement: 7,
  rows: 1,
  maskedValues: 0,
  detected: {},
  tag: 'SELECT 1',
  sqlState: undefined,
} as const satisfies RecordingEvent;

const EVENTS: readonly RecordingEvent[] = [
  DECISION,
  { ...DECISION, view: [{ type: 'code', language: 'text', text: 'GET "ä"\n' }] },
  {
    ...DECISION,
    effect: 'refuse',
    columnsComputed: ['public.staff.token'],
    code: 'HOOP_DENIED',
    message: 'no "quotes", no \u2028',
    comments: { traceparent: '00', application: 'shop' },
    prompt: 'p-1',
  },
  { ...DECISION, outputsMasked: undefined, rules: [], relations: [] },
  RESULT,
  { ...RESULT, tag: undefined, sqlState: '42P01', detected: { iban: 1, card: 2 } },
  { type: 'stream.close', stream: 1, up: 5, down: 6, reason: 'closed' },
];

describe('the JSON of an event', () => {
  it.each(EVENTS)('is the canonical one: %j', (event) => {
    expect(eventJson(event)).toBe(canonicalJson(event));
    // Lists of the second time have their text already.
    expect(eventJson({ ...event })).toBe(canonicalJson(event));
  });

  it.each([
    { ...DECISION, at: 0.5 },
    { ...DECISION, statement: -0 },
    { ...RESULT, rows: Number.POSITIVE_INFINITY },
    { ...RESULT, tag: '\ud800' },
    { ...DECISION, message: 'half \udc00' },
    { ...DECISION, relations: ['\ud800'] },
  ])('has nothing that has no canonical form', (event) => {
    expect(() => eventJson(event)).toThrow(/JSON/);
  });
});
