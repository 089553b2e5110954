import { describe, expect, test } from 'vitest';
import type { SessionSummary } from '../../src/api/sessions.ts';
import { sessionDetails, sessionTable } from '../../src/ui/session-table.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import { textWidth } from '../../src/ui/text/text-width.ts';
import { byteCount, count, duration, elapsed, localTime, plural } from '../../src/ui/text/times.ts';

const style = styleFor(false);
const session: SessionSummary = {
  id: '0199c2f4-7c3a-7d1e-9a55-000000000003',
  target: 'prod-db',
  principal: 'eve\x1b]0;x\x07@example.com',
  reason: 'TICKET-1\nand more',
  startedAt: '2026-01-01T10:00:00Z',
  endedAt: '2026-01-01T10:02:05Z',
  endReason: 'closed',
  state: 'uploaded',
  statements: 1234,
  denied: 2,
  maskedValues: 0,
  upBytes: 900,
  downBytes: 5_000_000,
  policyCommit: '0123456789abcdef0123456789abcdef01234567',
};

describe('sessions as a list', () => {
  test('on a terminal ids are as short as they may be, and lines fit', () => {
    const others = [session, { ...session, id: '0199c2f4-7c3a-7d2e-9a55-000000000004' }];
    const lines = sessionTable(others, { style, width: 120 });
    expect(lines.length).toBe(3);
    expect(lines.every((line) => textWidth(line) <= 120)).toBe(true);
    expect(sessionTable([session], { style, width: 120 })[1]).toMatch(/^0199c2f4-7c3a /);
  });

  test('on 80 columns what identifies a session is whole, and the rest is left out or cut', () => {
    const [head = '', line = ''] = sessionTable([session], { style, width: 80 });
    expect(head).not.toContain('REASON');
    expect(line).toMatch(
      /^0199c2f4-7c3a {2}01-0\d \d\d:\d\d[+-]\d\d(:\d\d)? {2}prod-db {2}.*… .*uploaded$/,
    );
    expect(textWidth(line)).toBeLessThanOrEqual(80);
  });

  test('in a pipe ids are whole, and names cannot act on a terminal', () => {
    const [, line = ''] = sessionTable([session], { style, width: undefined });
    expect(line).toContain(session.id);
    expect(line).toContain('eve⟪U+001B⟫]0;x⟪U+0007⟫@example.com');
    expect(line).toContain('2 min 5 s');
    expect(line).toContain('1 234');
    expect(line).not.toContain('\n');
  });

  test('one session is a fact a line', () => {
    const lines = sessionDetails(session, style);
    expect(lines).toContain('volume     900 B sent, 4.8 MiB received');
    expect(lines).toContain('statements 1 234, 2 denied');
    expect(lines.every((line) => !line.includes('\n'))).toBe(true);
  });

  test('what the gateway’s disk lost of it is told in lists and in its details', () => {
    const lost = { ...session, lostBytes: 57 };
    const state = (one: SessionSummary) =>
      sessionTable([one], { style, width: undefined })[1]?.includes('uploaded, lost 57 B');
    expect(state(lost)).toBe(true);
    expect(state(session)).toBe(false);
    expect(sessionTable([lost], { style, width: 80 })[1]).toMatch(/uploaded, lost 57 B$/);
    const title = 'lost ';
    expect(sessionDetails(session, style).some((line) => line.startsWith(title))).toBe(false);
    expect(sessionDetails(lost, style)).toContain(
      'lost       57 B: the gateway’s disk lost this; the client sent it back, and only the client vouches for it',
    );
  });

  test('values that were looked up are told where there were any', () => {
    const title = 'looked up';
    expect(sessionDetails(session, style).some((line) => line.startsWith(title))).toBe(false);
    const lines = sessionDetails({ ...session, lookups: 3 }, style);
    expect(lines).toContain('looked up  3 values of masked columns');
  });

  test('the columns are named in which values were masked', () => {
    expect(sessionDetails(session, style)).toContain('masked     0 values');
    const columnsMasked = ['app.people.email', 'app.people.card'];
    expect(sessionDetails({ ...session, maskedValues: 4, columnsMasked }, style)).toContain(
      'masked     4 values of app.people.email, app.people.card',
    );
  });

  test('a session of a run says which program it was', () => {
    const ran = { ...session, run: 'r1', parentRun: 'r0', program: 'claude\x1b[2J' };
    expect(sessionDetails(ran, style)).toContain('run        r1 (claude⟪U+001B⟫[2J), in run r0');
  });

  test('a session with a recording of a terminal says how to play it', () => {
    const recorded = { ...session, terminal: 'recorded' } as const;
    expect(sessionDetails(recorded, style)).toContain(
      `terminal   recorded; hoop sessions replay ${session.id} --terminal`,
    );
    expect(sessionDetails({ ...recorded, state: 'live' }, style)).toContain(
      `terminal   being recorded; when it has ended: hoop sessions replay ${session.id} --terminal`,
    );
    expect(sessionDetails(session, style).join()).not.toContain('terminal');
  });

  test('a session on a server says what was done there', () => {
    const acts = {
      shell: 1,
      exec: 14,
      'sftp read': 2,
      'sftp write': 3,
      forward: 1,
      'subsystem x': 1,
    };
    const server = { ...session, kind: 'ssh', statements: 22, acts };
    expect(sessionDetails(server, style)).toContain(
      'did        1 shell, 14 commands, 1 forward, 5 requests about files, 1 other, 2 denied',
    );
    const idle = { ...session, kind: 'ssh', acts: {}, statements: 0, denied: 0 };
    expect(sessionDetails(idle, style)).toContain('did        nothing, 0 denied');
    const unknown = {
      ...session,
      kind: 'toy',
      acts: {},
      statements: 3,
      denied: 1,
      maskedValues: 0,
    };
    expect(sessionDetails(unknown, style)).toContain('did        3 other, 1 denied');
    expect(sessionDetails(unknown, style).join()).not.toContain('masked');
  });
});

describe('times and amounts', () => {
  test.each([
    [duration(0), '0 ms'],
    [duration(999.4), '999 ms'],
    [duration(1500), '1.5 s'],
    [duration(3_723_000), '1 h 2 min'],
    [elapsed(0), '0:00.000'],
    [elapsed(61_250), '1:01.250'],
    [elapsed(3_661_001), '1:01:01.001'],
    [elapsed(-5), '0:00.000'],
    [count(1234567), '1 234 567'],
    [plural(1, 'row'), '1 row'],
    [plural(1500, 'row'), '1 500 rows'],
    [byteCount(1023), '1023 B'],
    [byteCount(1536), '1.5 KiB'],
    [localTime(Number.NaN), '?'],
  ])('%s', (shown, expected) => {
    expect(shown).toBe(expected);
  });
});
