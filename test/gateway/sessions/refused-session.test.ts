import { expect, test } from 'vitest';
import type { NewEvent } from '../../../src/gateway/events/audit-events.ts';
import { oneForMany } from '../../../src/gateway/events/audit-events.ts';
import { EventLimit } from '../../../src/gateway/events/event-limit.ts';
import { tellRefusedSession } from '../../../src/gateway/sessions/refused-session.ts';

const PERSON = {
  kind: 'person',
  ...{ issuer: 'https://id.example', sub: 'u1', name: 'ana' },
  ...{ email: undefined, roles: [], groups: [] },
} as const;

type Refused = Extract<NewEvent, { type: 'session.refused' }>;

interface From {
  readonly run?: string | undefined;
  readonly agent?: string | undefined;
}

/** @returns what is counted when each of them is refused so often, beyond what is told at once */
function counted(times: number, ...all: readonly From[]): readonly Refused[] {
  const limit = new EventLimit<NewEvent>(() => 0);
  const events = {
    tellLimited: (scope: string, kind: string, event: NewEvent) => {
      limit.count(scope, kind, event);
    },
  };
  for (let one = 0; one < times; one += 1) {
    for (const { run, agent } of all) {
      tellRefusedSession(events, {
        who: {
          principal: { ...PERSON, ...(agent === undefined ? {} : { agent }) },
          from: '192.0.2.1',
          ...(run === undefined ? {} : { run: { id: run } }),
        },
        ...{ request: { target: 'orders' }, code: 'HOOP_ACCESS_DENIED', isTarget: true },
      });
    }
  }
  return limit.rest().map(oneForMany) as Refused[];
}

test('refusals of two runs, and of no run, are counts of their own', () => {
  const events = counted(30, { run: 'one', agent: 'a' }, { run: 'two', agent: 'b' }, {});
  expect(events.map(({ run, who, count }) => ({ run, agent: who?.agent, count }))).toEqual([
    { run: 'one', agent: 'a', count: 30 },
    { run: 'two', agent: 'b', count: 30 },
    { run: undefined, agent: undefined, count: 30 },
  ]);
});

test('the sum of too many runs names none of them, nor the agent of one', () => {
  const runs = Array.from({ length: 20 }, (_, at) => ({ run: `r${at}`, agent: `a${at}` }));
  const events = counted(2, ...runs);
  expect(events.filter(({ run }) => run !== undefined)).toHaveLength(8);
  const rest = events.filter(({ run }) => run === undefined);
  expect(rest).toMatchObject([{ count: 24, who: { sub: 'u1', name: 'ana' } }]);
  expect(rest[0]?.who?.agent).toBeUndefined();
});
