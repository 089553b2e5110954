import { describe, expect, test } from 'vitest';
import type { SessionSummary } from '../../src/api/sessions.ts';
import { findSession, type SessionLookup } from '../../src/commands/sessions/sessions-source.ts';
import { HoopError } from '../../src/errors.ts';

const IDS = [
  '0199c2f4-7c3a-7d1e-9a55-000000000003',
  '0199c2f4-7c3a-7d1e-9a55-000000000002',
  '0199c2f3-0000-7000-8000-000000000001',
];

function summary(id: string): SessionSummary {
  return {
    id,
    target: 'prod-db',
    principal: 'eve@example.com',
    startedAt: '2026-01-01T00:00:00Z',
    state: 'uploaded',
    statements: 0,
    denied: 0,
    maskedValues: 0,
    upBytes: 0,
    downBytes: 0,
    policyCommit: '0'.repeat(40),
  };
}

/** What a gateway with these sessions answers. */
function lookup(ids: readonly string[]): SessionLookup {
  return {
    session: async (id) => {
      if (!ids.includes(id)) {
        throw new HoopError('HOOP_SESSION_UNKNOWN', 'unknown');
      }
      return summary(id);
    },
    sessions: async ({ limit }) => ({
      v: 1,
      sessions: ids.slice(0, Number(limit)).map(summary),
    }),
  };
}

const find = (typed: string, ids = IDS) =>
  findSession(lookup(ids), typed, new AbortController().signal);

describe('finding a session by what a user types', () => {
  test('the whole id, in any case, asks for exactly this session', async () => {
    expect((await find(IDS[2] ?? '')).id).toBe(IDS[2]);
    expect((await find((IDS[2] ?? '').toUpperCase())).id).toBe(IDS[2]);
  });

  test('the start of an id is enough when one session has it', async () => {
    expect((await find('0199c2f3')).id).toBe(IDS[2]);
  });

  test('a start that several sessions have is refused, with the candidates', async () => {
    await expect(find('0199c2f4')).rejects.toMatchObject({
      code: 'HOOP_USAGE',
      message: '2 sessions begin with "0199c2f4"',
      detail: `Among them: ${IDS[0]}, ${IDS[1]}.`,
    });
  });

  test('`last` is the newest', async () => {
    expect((await find('last')).id).toBe(IDS[0]);
    await expect(find('last', [])).rejects.toMatchObject({ code: 'HOOP_SESSION_UNKNOWN' });
  });

  test('a start that no session has is unknown, and what is no id is wrong usage', async () => {
    await expect(find('0abc')).rejects.toMatchObject({ code: 'HOOP_SESSION_UNKNOWN' });
    for (const typed of ['', '019', 'prod-db', '../etc', '0199c2f4_']) {
      await expect(find(typed), typed).rejects.toMatchObject({
        code: 'HOOP_USAGE',
        message: `"${typed}" is not the ID of a session`,
      });
    }
  });
});
