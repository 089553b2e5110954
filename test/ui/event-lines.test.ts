import { expect, test } from 'vitest';
import type { ReadEvent } from '../../src/api/events.ts';
import { eventLines } from '../../src/ui/event-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';

const ann = { kind: 'person', issuer: 'https://idp.test', sub: 'u1', name: 'ann' } as const;
const event: ReadEvent = {
  v: 1,
  cursor: 'f5352b9b.0.1.mwtj32qk',
  time: '2026-03-01T00:00:00.000Z',
  gateway: 'gw',
  node: 'n',
  term: 1,
  type: 'recording.read',
  session: '01890a5d-ac96-774b-bcce-b302099a8057',
  who: ann,
  by: ann,
};

const line = (by: ReadEvent['by']): string =>
  eventLines([{ ...event, by }], {
    style: styleFor(false),
    width: undefined,
    withTitles: false,
  }).join('\n');

test('somebody else who did it is named beside whose it is, and nobody is named twice', () => {
  expect(line({ ...ann, sub: 'u2', name: 'bob' })).toMatch(/ann .* by bob; session 01890a5d-ac96$/);
  expect(line(ann)).toMatch(/recording\.read {4,}ann +session 01890a5d-ac96$/);
  // Another provider may give the same sub to somebody else.
  expect(line({ ...ann, issuer: 'https://other.test' })).toContain('by ann');
});

test('an agent is named before the person it acts for', () => {
  const options = { style: styleFor(false), width: undefined, withTitles: false };
  expect(eventLines([{ ...event, who: { ...ann, agent: 'devin' } }], options).join()).toContain(
    'devin for ann ',
  );
});

test('what it says is set apart, in words', () => {
  const end: ReadEvent = {
    ...event,
    type: 'session.end',
    target: 'db',
    reason: 'closed',
    upBytes: 90,
    downBytes: 706,
    statements: 1,
    denied: 0,
    maskedValues: 6,
  };
  const [shown] = eventLines([end], {
    style: styleFor(false),
    width: undefined,
    withTitles: false,
  });
  expect(shown).toMatch(
    / reason closed; session 01890a5d-ac96; 90 B sent; 706 B received; statements 1; denied 0; masked values 6$/,
  );
});
