/** `deny: everything` closes databases and servers alike; a deny that leaves one kind open is warned of. */
import { loadModule, parse } from 'libpg-query';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { analyseStatements } from '../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import type { SshAct } from '../../src/connectors/ssh/policy/types.ts';
import { problemLine } from '../../src/policy/load-policy.ts';
import { policyWarnings } from '../../src/policy/policy-warnings.ts';
import { principalGrant } from '../../src/policy/principal-grant.ts';
import type { Grant } from '../../src/policy/types.ts';
import { emptyCatalog } from '../connectors/postgres/policy/empty-catalog.ts';
import {
  decide,
  outcome,
  policyOf,
  principal,
  problemsOf,
} from '../connectors/ssh/policy/ssh-fixture.ts';

const DB = 'name: db\nkind: postgres\ndatabase: app\ncredential: app\n';
const OPEN = `name: open
who: { everyone: true }
targets: { names: ["*"] }
rules:
  - allow: { verbs: ["*"] }
  - allow: { ssh: [shell, exec, sftp, forward] }
  - allow: { ssh: forward, destinations: ["127.0.0.1:80"] }
`;

const filesWith = (rule: string, targets = '["*"]') => ({
  'targets/db.yaml': DB,
  'policies/open.yaml': OPEN,
  'policies/p.yaml': `name: p\nwho: { groups: [staff] }\ntargets: { names: ${targets} }\nrules:\n  - ${rule}\n`,
});

const EVERYTHING = '{ name: out, deny: everything, hint: Talk to security. }';

function grantOn(target: string, rule = EVERYTHING): Grant {
  const policy = policyOf(filesWith(rule));
  const grant = principalGrant(policy, 'c0ffee', principal(), target);
  if (grant === undefined) throw new Error('nothing is granted');
  return grant;
}

const ACTS: readonly SshAct[] = [
  { kind: 'shell' },
  { kind: 'sftp' },
  { kind: 'exec', command: 'uptime' },
  { kind: 'exec', command: 'echo "$(' },
  { kind: 'file', operation: 'read', path: '/etc/hosts' },
  { kind: 'forward', host: '127.0.0.1', port: 80 },
];

describe('deny: everything', () => {
  test.each(ACTS)('on a server: $kind $command', (act) => {
    for (const user of ['deploy', 'root']) {
      expect(outcome(decide(grantOn('web-1'), act, user))).toBe('HOOP_DENIED');
    }
  });

  test.each(ACTS.slice(0, 3))('which a deny of all SQL leaves open: $kind', (act) => {
    const sqlOnly = grantOn('web-1', '{ deny: { verbs: ["*"] } }');
    expect(outcome(decide(sqlOnly, act))).toBe('allow');
  });

  test.each([
    'SELECT 1',
    'BEGIN',
    "SET timezone = 'UTC'",
    'SHOW ALL',
    'DO $$ BEGIN END $$',
    'CREATE TABLE public.t (id int)',
    'CALL public.f()',
  ])('in a database: %s', async (sql) => {
    const catalog = emptyCatalog();
    const context = {
      ...{ catalog, searchPath: ['pg_catalog', 'public'], role: 'app', parameterTypes: [] },
      ...{ cursor: () => undefined, prepared: () => undefined },
    };
    await loadModule();
    const verdict = evaluate(analyseStatements(await parse(sql), sql, context), grantOn('db'), {
      catalog,
    });
    expect(verdict.effect).toBe('refuse');
    if (!sql.startsWith('CALL')) {
      expect(verdict).toMatchObject({ refusal: { code: 'HOOP_DENIED', rule: { id: 'p/out' } } });
    }
  });
});

const warnings = (rule: string, targets?: string) =>
  policyWarnings(policyOf(filesWith(rule, targets))).map(problemLine);

test('policy check warns of a deny of everything of one kind where a target is of the other', () => {
  expect(warnings('{ name: out, deny: { verbs: ["*"] } }')).toEqual([
    'policies/p.yaml:5:1: rule p/out denies all SQL, but leaves open what may be done on web-1; say deny: everything',
  ]);
  expect(warnings('{ name: out, deny: { ssh: [shell, exec, sftp, forward] } }')).toEqual([
    'policies/p.yaml:5:1: rule p/out denies everything on servers, but leaves open all SQL on db; say deny: everything',
  ]);
});

test.each([
  [EVERYTHING, '["*"]'],
  [EVERYTHING, '[db]'],
  [EVERYTHING, '[web-1]'],
  ['{ deny: { verbs: ["*"] } }', '[db]'],
  ['{ deny: { verbs: [drop] } }', '["*"]'],
  ['{ deny: { verbs: ["*"], relations: [secret.*] } }', '["*"]'],
  ['{ deny: { ssh: exec } }', '["*"]'],
  ['{ deny: { ssh: [shell, exec, sftp, forward], users: [root] } }', '["*"]'],
])('and not of %s on %s', (rule, targets) => {
  expect(warnings(rule, targets)).toEqual([]);
});

test('what is wrong with a deny of keys is told as before, and the word stands alone', () => {
  expect(problemsOf(filesWith('{ deny: { verb: [drop] } }'))[0]).toContain('unknown key "verb"');
  expect(problemsOf(filesWith('{ deny: { verbs: [dorp] } }'))[0]).toContain('"dorp" is not an SQL');
  expect(problemsOf(filesWith('{ deny: all }'))[0]).toContain(
    'rules[0].deny: expected keys and values, or everything',
  );
  expect(problemsOf(filesWith('{ deny: [drop] }'))[0]).toContain('expected keys and values');
  expect(problemsOf(filesWith('{ allow: everything }'))).not.toEqual([]);
  expect(problemsOf(filesWith('{ approve: everything }'))).not.toEqual([]);
});
