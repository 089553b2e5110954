import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { refuseStartupParameters } from '../../../../src/connectors/postgres/policy/verdict/guards-startup.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { type GrantText, grantOf } from './grant-fixture.ts';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SAMPLE_SCHEMA);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** Masks and detectors of both are in the grant, as agent-grant.ts puts them there. */
function both(
  principal: readonly string[],
  agent: readonly string[],
  more: Pick<GrantText, 'masks' | 'detectors' | 'inference'> = {},
): Grant {
  const of = (rules: readonly string[], id: string) =>
    grantOf({ rules }).rules.map((rule) => ({ ...rule, rule: { ...rule.rule, id } }));
  return {
    ...grantOf(more),
    agent: {
      name: 'devin',
      file: 'agents/devin.yaml',
      principal: 'ann@example.org',
      isAgent: false,
      sides: { principal: of(principal, 'staff/rule'), agent: of(agent, 'agents/devin/rule') },
    },
  };
}

async function decide(sql: string, grant: Grant) {
  const verdict = evaluate(await bench.analyse(sql), grant, { catalog: bench.catalog, text: sql });
  return verdict.effect === 'refuse' ? verdict.refusal : verdict.statements;
}
const outcome = async (sql: string, grant: Grant) => {
  const decided = await decide(sql, grant);
  return 'code' in decided
    ? decided.code
    : decided.map(({ rules, approvals = [] }) => [
        ...rules.map(({ id }) => id),
        ...approvals.map(({ rule }) => `${rule.id}?`),
      ]);
};

const PERSON = ['allow select on public.*', 'allow update, delete on public.tasks'];
const AGENT = ['allow select on public.*, "Odd Name".*', 'allow update with WHERE on public.*'];

describe('a statement of an agent runs', () => {
  test.each([
    ['SELECT title FROM tasks'],
    ['SELECT version()'],
    ['UPDATE tasks SET note = title WHERE id = 1'],
    ['BEGIN'],
    ['SHOW work_mem'],
    ["SET statement_timeout = '5s'"],
    ['SELECT relname FROM pg_class'],
    ['WITH t AS (SELECT id FROM tasks) SELECT count(*) FROM t'],
  ])('when both allow it: %s', async (sql) => {
    expect(await outcome(sql, both(PERSON, AGENT))).toBeInstanceOf(Array);
  });

  test('by a rule of each, and the record names both', async () => {
    expect(await outcome('SELECT title FROM tasks', both(PERSON, AGENT))).toEqual([
      ['staff/rule', 'agents/devin/rule'],
    ]);
  });

  test('under what the other has, when one of both may do anything', async () => {
    const free = ['allow *'];
    expect(await outcome('SELECT 1 FROM tasks', both(free, AGENT))).toBeInstanceOf(Array);
    expect(await outcome('DELETE FROM tasks WHERE id = 1', both(free, AGENT))).toBe(
      'HOOP_NOT_ALLOWED',
    );
    expect(await outcome('DELETE FROM tasks WHERE id = 1', both(PERSON, free))).toBeInstanceOf(
      Array,
    );
    expect(await outcome('DROP TABLE tasks', both(PERSON, free))).toBe('HOOP_NOT_ALLOWED');
  });
});

describe('a statement of an agent is refused', () => {
  test.each([
    ['what only the agent may', 'SELECT id FROM "Odd Name"."My View"', 'HOOP_NOT_ALLOWED'],
    ['what only the person may', 'DELETE FROM tasks WHERE id = 1', 'HOOP_NOT_ALLOWED'],
    [
      'what the agent may only with a condition',
      'UPDATE tasks SET done = true',
      'HOOP_NOT_ALLOWED',
    ],
    [
      'a part of it that only one may, hidden in a CTE',
      'WITH gone AS (DELETE FROM tasks WHERE id = 1 RETURNING id) SELECT * FROM gone',
      'HOOP_NOT_ALLOWED',
    ],
    [
      'two statements of which each side allows one',
      'SELECT title FROM tasks; DELETE FROM tasks WHERE id = 1',
      'HOOP_NOT_ALLOWED',
    ],
    ['a setting that neither names', "SET app.tenant = 'x'", 'HOOP_SETTING'],
  ])('%s', async (_title, sql, code) => {
    expect(await outcome(sql, both(PERSON, AGENT))).toEqual(expect.stringContaining(code));
  });

  test('read of the one, relation of the other: a pair that neither has', async () => {
    // One list of both would let `select on tasks` and `update on people` read people.
    const grant = both(
      ['allow select on public.tasks', 'allow update on public.people'],
      ['allow select on public.people', 'allow update on public.tasks'],
    );
    for (const sql of [
      'SELECT title FROM tasks',
      'SELECT name FROM people',
      'UPDATE tasks SET done = true WHERE id = 1',
      'UPDATE people SET area = NULL WHERE id = 1',
    ]) {
      expect([sql, await outcome(sql, grant)]).toEqual([sql, 'HOOP_NOT_ALLOWED']);
    }
  });

  test('by a deny of either, whatever the other allows', async () => {
    const deny = ['allow *', 'deny select on public.people'];
    for (const grant of [both(deny, ['allow *']), both(['allow *'], deny)]) {
      expect(await outcome('SELECT name FROM people', grant)).toBe('HOOP_DENIED');
      expect(await outcome('SELECT title FROM tasks', grant)).toBeInstanceOf(Array);
    }
  });

  test('when it cannot be seen into, unless both restrict nothing', async () => {
    const sql = 'DO $$ BEGIN NULL; END $$';
    expect(await outcome(sql, both(['allow *'], ['allow *']))).toBeInstanceOf(Array);
    expect(await outcome(sql, both(['allow *'], AGENT))).toEqual(expect.stringContaining('HOOP_'));
    expect(await outcome(sql, both(AGENT, ['allow *']))).toEqual(expect.stringContaining('HOOP_'));
    expect(await outcome(sql, both(['allow *'], [...AGENT, 'allow do']))).toBeInstanceOf(Array);
  });

  test('a setting that one side names and the other does not, in a statement and at startup', async () => {
    const named = [...PERSON, 'allow set app.tenant'];
    const startup = new Map([['app.tenant', 'x']]);
    for (const grant of [both(named, AGENT), both(AGENT, named)]) {
      expect(await outcome("SET app.tenant = 'x'", grant)).toBe('HOOP_SETTING');
      expect(refuseStartupParameters(startup, grant)?.code).toBe('HOOP_SETTING');
    }
    expect(await outcome("SET app.tenant = 'x'", both(named, named))).toBeInstanceOf(Array);
    expect(refuseStartupParameters(startup, both(named, named))).toBeUndefined();
  });

  test('an expired side leaves nothing: a grant without sides and rules allows nothing', async () => {
    const { agent: _, ...nothing } = both(PERSON, AGENT);
    expect(await outcome('SELECT title FROM tasks', nothing)).toBe('HOOP_NOT_ALLOWED');
  });
});

describe('approvals', () => {
  const asking = ['allow select', 'approve delete on public.tasks'];
  const sql = 'DELETE FROM tasks WHERE id = 1';

  test('are needed when one side asks, and both when both do', async () => {
    const allowing = ['allow select, delete'];
    expect(await outcome(sql, both(asking, allowing))).toEqual([
      ['staff/rule', 'agents/devin/rule', 'staff/rule?'],
    ]);
    expect(await outcome(sql, both(allowing, asking))).toEqual([
      ['staff/rule', 'agents/devin/rule', 'agents/devin/rule?'],
    ]);
    expect(await outcome(sql, both(asking, asking))).toEqual([
      ['staff/rule', 'agents/devin/rule', 'staff/rule?', 'agents/devin/rule?'],
    ]);
  });

  test('that nobody could give are none, and the refusal says so', async () => {
    const { agent, ...rest } = both(asking, ['allow select, delete']);
    const principal = agent?.sides.principal.map((rule) =>
      rule.approval === undefined ? rule : { ...rule, approval: { ...rule.approval, groups: [] } },
    );
    if (agent === undefined || principal === undefined) {
      throw new TypeError('a grant of both sides');
    }
    const grant = { ...rest, agent: { ...agent, sides: { ...agent.sides, principal } } };
    expect(await outcome(sql, grant)).toBe('HOOP_APPROVAL_UNAVAILABLE');
    expect(await outcome('SELECT title FROM tasks', grant)).not.toBe('HOOP_APPROVAL_UNAVAILABLE');
  });

  test('of one side are no right of the other', async () => {
    expect(await outcome(sql, both(asking, ['allow select']))).toBe('HOOP_NOT_ALLOWED');
    expect(await outcome(sql, both(['allow select'], asking))).toBe('HOOP_NOT_ALLOWED');
  });
});

describe('masks of either side', () => {
  const masks = ['public.people.secret full'];

  test('apply to both: values, copies, and code that cannot be traced', async () => {
    const grant = both(['allow *'], ['allow *'], { masks });
    const decided = await decide('SELECT secret FROM people', grant);
    expect(decided).toMatchObject([{ masks: [{ mask: 'full' }] }]);
    expect(await outcome('CREATE TABLE copy AS SELECT secret FROM people', grant)).toBe(
      'HOOP_MASKED_WRITE',
    );
    expect(await outcome('DO $$ BEGIN NULL; END $$', grant)).toEqual(
      expect.stringContaining('HOOP_'),
    );
  });
});

describe('a refusal says', () => {
  test('that the agent is what stands in the way, what both may do, and who may do more', async () => {
    expect(await decide('DELETE FROM tasks WHERE id = 1', both(PERSON, AGENT))).toMatchObject({
      message: 'DELETE on public.tasks is not allowed by policy',
      detail:
        'Requested by devin for ann@example.org. No rule of agent devin (agents/devin.yaml, policy 0123456789ab) allows it.',
      hint: 'Allowed for agent devin: select on public.*; update with WHERE on public.tasks. ann@example.org may do it without the agent, if appropriate.',
    });
  });

  test('that the person may not either', async () => {
    const grant = { ...both(PERSON, AGENT), requestable: ['fix'] };
    expect(await decide('INSERT INTO tasks (id) VALUES (9)', grant)).toMatchObject({
      detail:
        'Requested by devin for ann@example.org. No rule of policy 0123456789ab allows it for ann@example.org.',
      hint: 'Allowed here: select on public.*; update with WHERE on public.tasks. ann@example.org can request more access, outside the run: `hoop access request db --grant fix --for 1h --reason TEXT`.',
    });
  });

  test('which rule of which file, for a deny of the agent', async () => {
    const grant = both(['allow *'], ['allow *', 'deny delete']);
    expect(await decide('DELETE FROM tasks WHERE id = 1', grant)).toMatchObject({
      detail: expect.stringMatching(
        /^Requested by devin for ann@example\.org\. Rule agents\/devin\/rule /,
      ),
      rule: { id: 'agents/devin/rule' },
    });
  });
});
