import { expect, test } from 'vitest';
import { decideSsh } from '../../../src/connectors/ssh/policy/decide-ssh.ts';
import type { SshRule } from '../../../src/connectors/ssh/policy/types.ts';
import { SessionGrant } from '../../../src/gateway/sessions/session-grant.ts';
import type { Grant } from '../../../src/policy/types.ts';
import { testGrant } from '../../connectors/postgres/gateway/engine-bench.ts';

test('a temporary grant ends by the clock, before its timer fires', () => {
  let nowMs = 999;
  const grant = new SessionGrant(grantOf({ a: 1000 }), {
    clock: () => nowMs,
    onDue: () => grant.set(undefined),
  });
  expect(idsOf(grant.current())).toEqual(['a']);
  nowMs = 1000;
  expect(idsOf(grant.current())).toEqual([]);
});

test('the end that counts is the first one', () => {
  let due = 0;
  const grant = new SessionGrant(grantOf({ a: 3000, b: 2000 }), {
    clock: () => 2000,
    onDue: () => {
      due += 1;
      grant.set(grantOf({ a: 3000 }));
    },
  });
  grant.current();
  expect(idsOf(grant.current())).toEqual(['a']);
  expect(due).toBe(1);
});

test('without temporary grants nothing is ever due', () => {
  const onDue = (): void => expect.unreachable('nothing is due');
  const grant = new SessionGrant(grantOf({}), { clock: () => Number.MAX_SAFE_INTEGER, onDue });
  expect(grant.current().generation).toBe('g');
});

test('which temporary grants began and ended is told', () => {
  const grant = new SessionGrant(grantOf({ a: 1, b: 2 }), {
    clock: () => 0,
    onDue: () => undefined,
  });
  expect(grant.set(grantOf({ b: 2, c: 3 }))).toEqual({ ended: ['a'], given: ['c'] });
  expect(grant.set(grantOf({ b: 9, c: 3 }))).toEqual({ ended: [], given: [] });
  expect(grant.set(undefined)).toEqual({ ended: ['b', 'c'], given: [] });
});

test('where nothing is left no right is left, and verdicts of before do not count', () => {
  const grant = new SessionGrant(
    { ...grantOf({ a: 1 }), passthrough: true },
    { clock: () => 0, onDue: () => undefined },
  );
  grant.set(undefined);
  const { rules, passthrough, temporary, generation, limits } = grant.latest;
  expect({ rules, passthrough, temporary }).toEqual({
    rules: [],
    passthrough: false,
    temporary: [],
  });
  expect(generation).not.toBe('g');
  expect(limits.maxTimeSeconds).toBe(3600);
});

test('what is asked for on a server when the last grant is due is decided without it', () => {
  const rule: SshRule = {
    effect: 'allow',
    rule: { id: 'ops#1', file: 'policies/ops.yaml', line: 1 },
    acts: ['exec'],
    users: [],
    commands: [{ words: ['**'], exact: false }],
    unknown: false,
    paths: [],
    operations: [],
    destinations: [],
    hint: undefined,
  };
  let nowMs = 999;
  const grant = new SessionGrant(
    { ...grantOf({ a: 1000 }), own: { rules: [rule] } },
    { clock: () => nowMs, onDue: () => grant.set(undefined) },
  );
  const act = { kind: 'exec', command: 'uptime' } as const;
  expect(decideSsh(grant.current(), 'deploy', act).effect).toBe('allow');
  nowMs = 1000;
  expect(decideSsh(grant.current(), 'deploy', act).effect).toBe('refuse');
});

function grantOf(untilMs: Readonly<Record<string, number>>): Grant {
  const temporary = Object.entries(untilMs).map(([id, expiresMs]) => ({
    id,
    policy: 'repair',
    definition: 'as approved',
    expiresMs,
  }));
  return testGrant({ generation: 'g', temporary });
}

function idsOf({ temporary = [] }: Grant): string[] {
  return temporary.map(({ id }) => id);
}
