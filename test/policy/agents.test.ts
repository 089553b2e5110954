import { describe, expect, test } from 'vitest';
import { mayActFor, recogniseAgents } from '../../src/policy/agents.ts';
import { grantSides } from '../../src/policy/grant-sides.ts';
import { problemLine } from '../../src/policy/load-policy.ts';
import { grantedTargets, principalGrant } from '../../src/policy/principal-grant.ts';
import { requestable } from '../../src/policy/requestable.ts';
import type { Principal } from '../../src/policy/types.ts';
import { describeAgentRules, describeRules } from '../../src/policy/words/describe-grant.ts';
import { loadPolicy, requirePolicy } from './with-connectors.ts';

const ISSUER = 'https://idp.example';
const FILES = {
  'hoop.yaml': `version: 1
identityProviders: [{ issuer: "${ISSUER}", clientId: hoop }]
roles: { approver: { groups: [leads] } }
`,
  'targets/prod.yaml': 'name: prod\nkind: postgres\ndatabase: app\nlabels: { env: production }\n',
  'targets/test.yaml': 'name: test\nkind: postgres\ndatabase: app\nlabels: { env: test }\n',
  'policies/staff.yaml': `name: staff
who: { groups: [staff] }
targets: { names: ["*"] }
limits: { maxTime: 8h, idleTime: 10m, maxConnections: 5 }
masks: [{ column: public.people.mail, mask: partial, write: allow }]
detectors: [ssn]
rules:
  - { name: read, allow: { verbs: [select], relations: ["public.*"] } }
  - { name: write, allow: { verbs: [update], relations: [public.tasks] } }
`,
  'policies/admins.yaml': `name: admins
who: { groups: [admins] }
targets: { names: ["*"] }
statements: anything
`,
  'policies/devin-only.yaml': `name: devin-only
who: { groups: [staff], agents: [devin] }
targets: { names: [test] }
rules: [{ name: clean, allow: { verbs: [delete], relations: [public.tasks] } }]
`,
  'policies/agents-ask.yaml': `name: agents-ask
who: { agents: ["*"] }
targets: { names: [prod] }
rules: [{ name: careful, approve: { verbs: [update] } }]
`,
  'policies/robots.yaml': `name: robots
who: { groups: [ci], kinds: [workload] }
targets: { names: [test] }
rules: [{ allow: { verbs: [insert] } }]
`,
  'policies/fix.yaml': `name: fix
who: { groups: [staff], agents: [devin] }
targets: { names: [prod] }
request: { maxDuration: 2h }
rules: [{ allow: { verbs: [delete] } }]
`,
  'agents/devin.yaml': `name: devin
description: Cognition's engineer
match:
  - { program: devin }
  - { program: [node, bun], arguments: ["*/devin-cli/*"] }
targets: { names: ["*"] }
requireReason: true
limits: { maxTime: 1h, maxConnections: 20, maxRows: 500 }
masks:
  - { column: public.people.mail, mask: full }
  - { column: public.people.secret, mask: hash }
detectors: [card]
inference: deny
rules:
  - { name: read, allow: { verbs: [select] } }
  - { name: write, allow: { verbs: [update, delete, insert] } }
  - { name: hands-off, deny: { verbs: [select], relations: [public.payments] } }
`,
  'agents/claude.yaml': `name: claude
match:
  - { program: [claude, claude-code] }
  - { program: node, arguments: ["*claude*"] }
identities: { users: [{ issuer: "${ISSUER}", sub: claude-bot }] }
who: { groups: [admins] }
targets: { labels: { env: test } }
statements: anything
`,
};
const policy = requirePolicy(new Map(Object.entries(FILES)));

function someone(groups: string[], more: Partial<Principal> = {}): Principal {
  const name = 'ann@example.org';
  return {
    kind: 'person',
    issuer: ISSUER,
    sub: 'x',
    name,
    email: name,
    groups,
    roles: [],
    ...more,
  };
}
const grant = (who: Principal, target = 'prod') => principalGrant(policy, 'c0ffee', who, target);
const problems = (changes: Record<string, string>): string[] =>
  loadPolicy(new Map(Object.entries({ ...FILES, ...changes }))).problems.map(problemLine);

describe('a command is recognised', () => {
  const named = (...command: string[]) => recogniseAgents(policy, command).map(({ name }) => name);

  test('by its program, wherever that is and however it is written', () => {
    expect(named('devin', '--help')).toEqual(['devin']);
    expect(named('/usr/local/bin/devin')).toEqual(['devin']);
    expect(named('C:\\Tools\\Claude-Code.EXE')).toEqual(['claude']);
    expect(named('devin.cmd')).toEqual(['devin']);
  });

  test('by an argument, where many things have the same program', () => {
    expect(named('node', '/opt/devin-cli/main.js')).toEqual(['devin']);
    expect(named('node', 'server.js')).toEqual([]);
    expect(named('node')).toEqual([]);
  });

  test('as nobody, when only an argument says the name, and when there is no command', () => {
    expect(named('psql', 'devin')).toEqual([]);
    expect(named('devine')).toEqual([]);
    expect(named()).toEqual([]);
    expect(named('')).toEqual([]);
  });

  test('as the one that says more about it; as both when they say as much', () => {
    const both = requirePolicy(
      new Map(
        Object.entries({
          ...FILES,
          'agents/any-node.yaml':
            'name: any-node\nmatch: [{ program: node }]\ntargets: { names: [test] }\n',
        }),
      ),
    );
    const of = (...command: string[]) => recogniseAgents(both, command).map(({ name }) => name);
    expect(of('node', 'server.js')).toEqual(['any-node']);
    expect(of('node', '/opt/claude/cli.js')).toEqual(['claude']);
    expect(of('node', '/x/devin-cli/claude.js').sort()).toEqual(['claude', 'devin']);
  });
});

describe('policy check refuses', () => {
  const agent = (text: string) => ({ 'agents/x.yaml': text });
  test.each<[string, Record<string, string>, string]>([
    [
      'two agents for one program',
      agent('name: x\nmatch:\n  - { program: [other, Devin.exe] }\ntargets: { names: [prod] }\n'),
      'agents/x.yaml:3:3: match: "devin" already belongs to the agent in agents/devin.yaml',
    ],
    [
      'two agents for one program and the same arguments',
      agent(
        'name: x\nmatch: [{ program: bun, arguments: ["*/devin-cli/*"] }]\ntargets: { names: [prod] }\n',
      ),
      'agents/x.yaml:2:8: match: "bun" with these arguments already belongs to the agent in agents/devin.yaml',
    ],
    [
      'a name used twice',
      agent('name: devin\ntargets: { names: [prod] }\n'),
      'agents/x.yaml:1:7: the agent "devin" is already in agents/devin.yaml',
    ],
    [
      'a program with a folder or a wildcard',
      agent('name: x\nmatch: [{ program: /usr/bin/x }]\ntargets: { names: [prod] }\n'),
      'agents/x.yaml:2:20: match[0].program: expected the name of a program, without directory and wildcards',
    ],
    [
      'a target that does not exist',
      agent('name: x\ntargets: { names: [prd] }\n'),
      'agents/x.yaml:2:10: targets.names: there is no target "prd" in targets/',
    ],
    [
      'what the policy cannot express',
      agent('name: x\ntargets: { names: [prod] }\nrisk: high\n'),
      'agents/x.yaml:3:1: unknown key "risk"; expected one of name, description, match, identities, who, targets, rules, masks, detectors, detect, limits, requireReason, inference, terminal, statements',
    ],
    [
      'anything beside rules',
      agent(
        'name: x\ntargets: { names: [prod] }\nstatements: anything\nrules: [{ allow: { verbs: [select] } }]\n',
      ),
      'agents/x.yaml:3:13: statements: anything cannot be combined with rules in one file',
    ],
    [
      'an agent that is for nobody, and one that is nobody',
      agent('name: x\nwho: {}\nidentities: {}\ntargets: { names: [prod] }\n'),
      'agents/x.yaml:2:6: who: expected groups, users or everyone',
    ],
    [
      'a policy for an agent that does not exist',
      {
        'policies/x.yaml':
          'name: x\nwho: { agents: [dewin] }\ntargets: { names: [prod] }\nrules: [{ allow: { verbs: [select] } }]\n',
      },
      'policies/x.yaml:2:6: who.agents: there is no agent "dewin" in agents/',
    ],
    [
      'a login of an identity provider that does not exist',
      agent(
        'name: x\nidentities: { users: [{ issuer: "https://no.example", sub: s }] }\ntargets: { names: [prod] }\n',
      ),
      'agents/x.yaml:2:13: identities: no identity provider in hoop.yaml has issuer "https://no.example"',
    ],
  ])('%s', (_title, files, expected) => {
    expect(problems(files)).toContain(expected);
  });
});

describe('with an agent a principal has', () => {
  const ann = someone(['staff'], { agent: 'devin' });

  test('the rules of both, apart, and none in one list', () => {
    const both = grant(ann);
    expect(both?.rules).toEqual([]);
    expect(
      grantSides(both ?? expect.fail()).map(({ rules }) => rules.map(({ rule }) => rule.id)),
    ).toEqual([
      ['agents-ask/careful', 'staff/read', 'staff/write'],
      ['agents/devin/read', 'agents/devin/write', 'agents/devin/hands-off'],
    ]);
    expect(describeRules(both ?? expect.fail())).toContain('staff/read: allow select on public.*');
    expect(describeAgentRules(both ?? expect.fail())).toContain('agents/devin/read: allow select');
  });

  test('the smallest limits, the union of masks and detectors, the stricter setting', () => {
    expect(grant(ann)).toMatchObject({
      limits: {
        maxTimeSeconds: 3600,
        idleTimeSeconds: 600,
        maxConnections: 5,
        maxRows: 500,
        lookups: 100,
      },
      detectors: ['card', 'ssn'],
      requireReason: true,
    });
    expect(grant(ann)?.masks.map(({ inference }) => inference)).toEqual(['deny', 'deny']);
    const masks = grant(ann)?.masks.map(({ column, mask, write }) => [column, mask, write]);
    // The person may write the column that it sees in part; the agent may not.
    expect(masks).toEqual([
      ['mail', 'full', undefined],
      ['secret', 'hash', undefined],
    ]);
  });

  test('a generation of its own, for each agent and each principal', () => {
    const generations = [
      grant(ann),
      grant(someone(['staff'])),
      grant({ ...ann, name: 'bob@example.org' }),
    ].map((one) => one?.generation);
    expect(new Set(generations).size).toBe(3);
    expect(grant({ ...ann })?.generation).toBe(generations[0]);
  });

  test('nothing, when the agent is unknown, not for this target, or may not act for this person', () => {
    expect(grant({ ...ann, agent: 'nobody' })).toBeUndefined();
    const admin = someone(['admins'], { agent: 'claude' });
    expect(grant(admin, 'prod')).toBeUndefined();
    expect(grant(admin, 'test')).toBeDefined();
    expect(grant(someone(['staff'], { agent: 'claude' }), 'test')).toBeUndefined();
    expect(grant(someone([], { agent: 'devin' }), 'test')).toBeUndefined();
    expect(grantedTargets(policy, 'c', admin).map(({ target }) => target.name)).toEqual(['test']);
  });

  test('no passthrough unless both say so; then what the other one says, guarded', () => {
    const admin = someone(['admins']);
    expect(grant(admin)?.passthrough).toBe(true);
    const guarded = grant({ ...admin, agent: 'devin' });
    expect(guarded).toMatchObject({ passthrough: false, agent: { name: 'devin' } });
    const anything = { effect: 'allow', verbs: ['*'], rule: { id: 'admins/anything' } };
    const devin = { ...admin, agent: 'devin' };
    expect(grant(devin, 'test')?.agent?.sides.principal).toMatchObject([anything]);
    // On prod agents have to ask for updates, and the person has not.
    expect(grant(devin, 'prod')?.agent?.sides.principal).toMatchObject([
      { effect: 'approve' },
      anything,
    ]);
    expect(grant({ ...admin, agent: 'claude' }, 'test')?.passthrough).toBe(true);
    const both = grant({ ...someone(['admins', 'staff']), agent: 'claude' }, 'test');
    expect(both?.passthrough).toBe(false);
    expect(both?.agent?.sides.agent).toMatchObject([{ rule: { id: 'agents/claude/anything' } }]);
  });
});

describe('a policy can be', () => {
  const ids = (who: Principal, target: string) =>
    grant(who, target)?.agent?.sides.principal.map(({ rule }) => rule.id) ??
    grant(who, target)?.rules.map(({ rule }) => rule.id);

  test('for named agents only, also to deny or hold', () => {
    const ann = someone(['staff']);
    expect(ids(ann, 'test')).toEqual(['staff/read', 'staff/write']);
    expect(ids({ ...ann, agent: 'devin' }, 'test')).toContain('devin-only/clean');
    expect(ids(ann, 'prod')).not.toContain('agents-ask/careful');
    expect(ids({ ...ann, agent: 'devin' }, 'prod')).toContain('agents-ask/careful');
  });

  test('for workloads only', () => {
    expect(grant(someone(['ci']), 'test')).toBeUndefined();
    expect(ids(someone(['ci'], { kind: 'workload' }), 'test')).toEqual(['robots/rule-1']);
  });

  test('asked for by a person, for the agent', () => {
    const ann = someone(['staff']);
    expect(requestable(policy, ann).map(({ document }) => document.name)).toEqual(['fix']);
    const definition = policy.documents.find(({ name }) => name === 'fix')?.definition ?? '';
    const given = [{ id: 'g1', policy: 'fix', definition, expiresMs: 1 }];
    expect(principalGrant(policy, 'c', ann, 'prod', given)?.temporary).toEqual([]);
    const devin = principalGrant(policy, 'c', { ...ann, agent: 'devin' }, 'prod', given);
    expect(devin?.temporary).toEqual(given);
  });
});

describe('a login that is an agent itself', () => {
  const bot = someone(['admins'], { sub: 'claude-bot', name: 'claude-bot' });

  test('has what the agent may do, whoever says what; and no other agent', () => {
    expect(grant(bot, 'test')?.agent?.name).toBe('claude');
    expect(grant({ ...bot, agent: 'claude' }, 'test')).toEqual(grant(bot, 'test'));
    expect(grant({ ...bot, agent: 'devin' }, 'test')).toBeUndefined();
    expect(grant(bot, 'prod')).toBeUndefined();
  });

  test('needs no leave to act for itself', () => {
    const claude = policy.agents.get('claude') ?? expect.fail();
    expect(mayActFor(claude, someone(['staff'], { sub: 'claude-bot' }))).toBe(true);
    expect(mayActFor(claude, someone(['staff']))).toBe(false);
  });
});
