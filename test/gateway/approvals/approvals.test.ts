import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NewApproval } from '../../../src/gateway/approvals/approval-record.ts';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../src/gateway/approvals/approvals.ts';
import { mayDecide } from '../../../src/gateway/approvals/may-decide.ts';
import {
  MAX_OPEN_OF_RUNS,
  MAX_OPEN_PER_PERSON,
} from '../../../src/gateway/approvals/request-limits.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { countOthers } from '../../../src/gateway/identity/same-person.ts';
import { MIGRATIONS } from '../../../src/gateway/index/index-schema.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { Secret } from '../../../src/secret.ts';
import { collectLog } from '../collect-log.ts';

/** Migrations before the one that lets requests have other kinds. */
const KINDS_MIGRATION = MIGRATIONS.findIndex((sql) => sql.includes('kept_votes'));

const ISSUER = 'https://idp.example';
const START = Date.UTC(2030, 0, 1);

function person(sub: string, groups: readonly string[], more: Partial<Principal> = {}): Principal {
  return {
    kind: 'person',
    issuer: ISSUER,
    sub,
    name: `${sub}@example.org`,
    email: undefined,
    groups,
    roles: [],
    ...more,
  };
}

const erin = person('erin', ['engineering']);
const ada = person('ada', ['dba']);
const bob = person('bob', ['dba', 'leads']);

let directory: string;
let index: IndexStore;
let approvals: Approvals;
let now: number;
let commit: string;
/** Subjects that the policy in force knows as agents. */
let agents: Set<string>;
/** Who is kept out, of which target. */
let blocked: Map<string, string>;
const log = collectLog();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-approvals-'));
  now = START;
  commit = 'c1';
  agents = new Set();
  blocked = new Map();
  open();
});

afterEach(() => {
  approvals[Symbol.dispose]();
  index[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

function open(): void {
  index = IndexStore.open(join(directory, 'index.sqlite'));
  const store = new ApprovalStore(index, new SealedJson(new Secret(new Uint8Array(32).fill(7))));
  const isAgent = ({ sub }: { sub: string }) => agents.has(sub);
  const isBlocked = ({ sub }: { sub: string }, target: string) => blocked.get(sub) === target;
  approvals = new Approvals({ store, isAgent, isBlocked, log: log.log, clock: () => now });
  approvals.handle('statement', {
    needs: ({ needs, policyCommit }) => (policyCommit === commit ? needs : undefined),
  });
}

function reopen(): void {
  approvals[Symbol.dispose]();
  index[Symbol.dispose]();
  open();
}

function request(more: Partial<NewApproval> = {}): NewApproval {
  return {
    kind: 'statement',
    requester: erin,
    target: 'prod-db',
    reason: undefined,
    session: 's1',
    diesWithConnection: false,
    needs: [{ rule: 'p/deletes', groups: ['dba'], count: 1 }],
    waitsSeconds: 60,
    usableSeconds: 60,
    policyCommit: 'c1',
    binding: 'b1',
    details: { text: "DELETE FROM customers WHERE email = 'a@b.example'" },
    ...more,
  };
}

const approve = { decision: 'approve' } as const;

function codeOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'done';
}

test('one approval by a member of the group approves, and is used once', () => {
  const { id } = approvals.create(request());
  expect(approvals.use(id)).toBeUndefined();
  expect(approvals.decide(ada, id, approve).state).toBe('approved');
  expect(approvals.use(id)?.state).toBe('used');
  expect(approvals.use(id)).toBeUndefined();
  expect(codeOf(() => approvals.decide(bob, id, approve))).toBe('HOOP_APPROVAL_ENDED');
});

test('the word of somebody who was blocked since releases nothing, and counts elsewhere', () => {
  const { id } = approvals.create(request());
  const other = approvals.create(request({ target: 'reports', binding: 'b2' }));
  approvals.decide(ada, id, approve);
  approvals.decide(ada, other.id, approve);
  blocked.set('ada', 'prod-db');
  expect(approvals.use(id)).toBeUndefined();
  expect(approvals.visible(erin, id)).toMatchObject({ state: 'void' });
  expect(approvals.use(other.id)?.state).toBe('used');
});

test('a second approver does not complete what a blocked one has begun', () => {
  const { id } = approvals.create(
    request({ needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] }),
  );
  approvals.decide(ada, id, approve);
  blocked.set('ada', 'prod-db');
  expect(approvals.decide(bob, id, approve).state).toBe('waiting');
  expect(approvals.use(id)).toBeUndefined();
  blocked.clear();
  expect(approvals.decide(person('cleo', ['dba']), id, approve).state).toBe('approved');
});

test('who asked cannot approve, whatever they call themselves and whatever group they are in', () => {
  const { id } = approvals.create(request());
  const self = person('erin', ['dba'], { name: 'somebody.else@example.org' });
  expect(codeOf(() => approvals.decide(self, id, approve))).toBe('HOOP_APPROVAL_SELF');
  expect(approvals.visible(erin, id).votes).toEqual([]);
});

test('an approver who came by device code neither sees nor decides; in a browser the same person does', () => {
  const { id } = approvals.create(request());
  const device = person('ada', ['dba'], { viaDevice: true });
  expect(codeOf(() => approvals.decide(device, id, approve))).toBe('HOOP_APPROVAL_UNKNOWN');
  expect(approvals.list(device, { isOpen: true, limit: 10 })).toEqual([]);
  const own = person('erin', ['engineering'], { viaDevice: true });
  expect(approvals.visible(own, id).id).toBe(id);
  expect(approvals.decide(ada, id, approve).state).toBe('approved');
});

test('an agent with a login of its own neither sees nor decides, whatever group it is in', () => {
  const { id } = approvals.create(request({ agent: 'devin' }));
  const bot = person('bot', ['dba'], { agent: 'devin', isAgent: true });
  for (const decision of ['approve', 'deny'] as const) {
    expect(codeOf(() => approvals.decide(bot, id, { decision }))).toBe('HOOP_APPROVAL_UNKNOWN');
  }
  expect(approvals.list(bot, { isOpen: true, limit: 10 })).toEqual([]);
  const auditing = person('bot', ['dba'], { agent: 'devin', isAgent: true, roles: ['auditor'] });
  expect(mayDecide(auditing, approvals.visible(auditing, id))).toBe(false);
  expect(codeOf(() => approvals.decide(auditing, id, approve))).toBe('HOOP_ACCESS_DENIED');
  expect(approvals.visible(erin, id)).toMatchObject({ state: 'waiting', votes: [] });
});

test('for whom a workload works, by its issuer’s word, does not decide what it asks for', () => {
  const asked = request({ requester: person('ci', []), requestedFor: 'ADA@example.com' });
  const record = approvals.create(asked);
  const requester = { ...ada, name: 'Ada', email: 'ada@Example.com' };
  expect(mayDecide(requester, record)).toBe(false);
  for (const decision of ['approve', 'deny'] as const) {
    expect(codeOf(() => approvals.decide(requester, record.id, { decision }))).toBe(
      'HOOP_APPROVAL_SELF',
    );
  }
  reopen();
  approvals.handle('statement', { needs: ({ needs }) => needs });
  expect(codeOf(() => approvals.decide(requester, record.id, approve))).toBe('HOOP_APPROVAL_SELF');
  expect(approvals.decide(bob, record.id, approve)).toMatchObject({
    state: 'approved',
    requestedFor: 'ADA@example.com',
  });
  // A claim gives nothing: whoever it names sees no more than before.
  const stranger = { ...person('zoe', []), email: 'ADA@example.com' };
  expect(approvals.list(stranger, { isOpen: true, limit: 10 })).toEqual([]);
});

test('the word of a login that a commit has made an agent no longer counts', () => {
  const two = [{ rule: 'p/deletes', groups: ['dba'], count: 2 }];
  const half = approvals.create(request({ needs: two }));
  const whole = approvals.create(request());
  approvals.decide(ada, half.id, approve);
  expect(approvals.decide(ada, whole.id, approve).state).toBe('approved');
  agents.add('ada');
  expect(approvals.decide(bob, half.id, approve).state).toBe('waiting');
  expect(approvals.use(whole.id)).toBeUndefined();
});

test('somebody with the same subject at another provider is somebody else', () => {
  const { id } = approvals.create(request());
  const other = person('erin', ['dba'], { issuer: 'https://other.example' });
  expect(approvals.decide(other, id, approve).state).toBe('approved');
});

describe('one human with two accounts', () => {
  const console = 'https://console.example';
  const pairs: Record<string, readonly [Partial<Principal>, Partial<Principal>]> = {
    'the subject that the policy names': [{ subject: 'oid-1' }, { subject: 'oid-1' }],
    'the key of the login': [{ loginKey: 'k1' }, { loginKey: 'k1', issuer: console }],
    'the e-mail address, at another provider': [
      { verifiedEmail: 'Erin@Example.org' },
      { verifiedEmail: 'erin@example.ORG', issuer: console },
    ],
  };
  const two = { needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] };

  test.each(Object.entries(pairs))(
    'asks as one and approves as the other: %s',
    (_, [one, other]) => {
      const { id } = approvals.create(request({ requester: person('erin', [], one) }));
      reopen();
      const voter = person('adm-erin', ['dba'], other);
      expect(codeOf(() => approvals.decide(voter, id, approve))).toBe('HOOP_APPROVAL_SELF');
      expect(mayDecide(voter, approvals.visible(voter, id))).toBe(false);
      expect(approvals.decide(ada, id, approve).state).toBe('approved');
    },
  );

  test.each(Object.entries(pairs))('approves twice and counts once: %s', (_, [one, other]) => {
    const { id } = approvals.create(request(two));
    expect(approvals.decide(person('bo', ['dba'], one), id, approve).state).toBe('waiting');
    reopen();
    const again = person('adm-bo', ['dba'], other);
    expect(codeOf(() => approvals.decide(again, id, approve))).toBe('HOOP_APPROVAL_VOTED');
    expect(mayDecide(again, approvals.visible(again, id))).toBe(false);
    expect(approvals.decide(ada, id, approve).state).toBe('approved');
  });

  test('is told by a third account that shares something with both', () => {
    const { id } = approvals.create(request(two));
    const first = person('bo', ['dba'], { subject: 'oid-1' });
    const second = person('bo2', ['dba'], { verifiedEmail: 'bo@example.org' });
    expect(approvals.decide(first, id, approve).state).toBe('waiting');
    approvals.decide(second, id, approve);
    const { state } = approvals.visible(erin, id);
    // Nothing tells yet that these are one: two different people look the same.
    expect(state).toBe('approved');
    const both = { ...first, verifiedEmail: 'bo@example.org' };
    expect(countOthers(erin, [first, second])).toBe(2);
    expect(countOthers(erin, [first, second, both])).toBe(1);
    expect(countOthers(erin, [first, second, both, { ...erin, subject: 'oid-1' }])).toBe(0);
  });

  test('different people are not taken for one', () => {
    const marks = (name: string, issuer = ISSUER): Partial<Principal> => ({
      issuer,
      subject: `oid-${name}`,
      verifiedEmail: `${name}@example.org`,
      loginKey: `key-${name}`,
    });
    const { id } = approvals.create(
      request({
        ...two,
        requester: person('erin', [], { ...marks('erin'), email: 'x@y.example' }),
      }),
    );
    // An unverified address is anybody's, and a subject means nothing at another provider.
    const carol = person('carol', ['dba'], { ...marks('carol'), email: 'x@y.example' });
    const dan = person('dan', ['dba'], { ...marks('dan', console), subject: 'oid-erin' });
    expect(approvals.decide(carol, id, approve).state).toBe('waiting');
    expect(approvals.decide(dan, id, approve).state).toBe('approved');
    expect(approvals.use(id)?.state).toBe('used');
  });

  test('is one who could approve, or none when it asks', () => {
    let logins = 0;
    const login = (sub: string, claims: object): void => {
      logins += 1;
      index.database
        .prepare(
          'INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms, expires_ms, claims, revoked) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, 0)',
        )
        .run(`f${logins}`, ISSUER, sub, sub, now, now, now, JSON.stringify(claims));
    };
    const subject = { claim: 'oid', value: 'oid-1' };
    const record = approvals.create(request());
    const [need] = record.needs;
    if (need === undefined) throw new Error('there is no need');
    login('bo', { groups: ['dba'], subject });
    login('bo-device', { groups: ['dba'], subject });
    expect(approvals.known(record, need)).toBe(1);
    const own = approvals.create(
      request({ requester: person('x', [], { subject: 'oid-1' }), binding: 'b2' }),
    );
    expect(approvals.known(own, need)).toBe(0);
  });
});

test('two approvals are those of two people', () => {
  const { id } = approvals.create(
    request({ needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] }),
  );
  expect(approvals.decide(ada, id, approve).state).toBe('waiting');
  expect(codeOf(() => approvals.decide(ada, id, approve))).toBe('HOOP_APPROVAL_VOTED');
  expect(approvals.decide(bob, id, approve).state).toBe('approved');
});

test('every rule must be satisfied; one person may count for several', () => {
  const needs = [
    { rule: 'p/deletes', groups: ['dba'], count: 1 },
    { rule: 'q/unqualified', groups: ['leads'], count: 1 },
  ];
  const first = approvals.create(request({ needs }));
  expect(approvals.decide(ada, first.id, approve).state).toBe('waiting');
  const second = approvals.create(request({ needs }));
  expect(approvals.decide(bob, second.id, approve).state).toBe('approved');
});

test('those who are no approvers do not see it, auditors see it and cannot decide, workloads neither', () => {
  const { id } = approvals.create(request());
  const carl = person('carl', ['sales']);
  const audit = person('audra', [], { roles: ['auditor'] });
  const robot = person('robot', ['dba'], { kind: 'workload' });
  expect(codeOf(() => approvals.decide(carl, id, approve))).toBe('HOOP_APPROVAL_UNKNOWN');
  expect(codeOf(() => approvals.decide(audit, id, approve))).toBe('HOOP_ACCESS_DENIED');
  expect(codeOf(() => approvals.decide(robot, id, approve))).toBe('HOOP_ACCESS_DENIED');
  expect(approvals.list(carl, { isOpen: true, limit: 10 })).toEqual([]);
  expect(approvals.list(audit, { isOpen: true, limit: 10 })).toHaveLength(1);
});

test('a denial ends it, also by someone who had approved, and cannot be approved away', () => {
  const { id } = approvals.create(
    request({ needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] }),
  );
  approvals.decide(ada, id, approve);
  expect(approvals.decide(ada, id, { decision: 'deny', reason: 'wrong table' }).state).toBe(
    'denied',
  );
  expect(codeOf(() => approvals.decide(bob, id, approve))).toBe('HOOP_APPROVAL_ENDED');
  expect(approvals.use(id)).toBeUndefined();
});

test('after it was withdrawn, or its time is over, nothing can be approved or used', () => {
  const withdrawn = approvals.create(request());
  approvals.end(withdrawn.id, 'withdrawn', 'canceled');
  expect(codeOf(() => approvals.decide(ada, withdrawn.id, approve))).toBe('HOOP_APPROVAL_ENDED');
  const late = approvals.create(request());
  now += 60_000;
  expect(codeOf(() => approvals.decide(ada, late.id, approve))).toBe('HOOP_APPROVAL_ENDED');
  const unused = approvals.create(request());
  approvals.decide(ada, unused.id, approve);
  now += 60_000;
  expect(approvals.use(unused.id)).toBeUndefined();
  expect(approvals.visible(erin, unused.id).state).toBe('expired');
});

test('a decision about something else than what was shown does not count', () => {
  const { id } = approvals.create(request());
  const said = { ...approve, binding: 'another' };
  expect(codeOf(() => approvals.decide(ada, id, said))).toBe('HOOP_APPROVAL_ENDED');
  expect(approvals.visible(erin, id).votes).toEqual([]);
});

test('when the policy has changed, a decision voids it', () => {
  const { id } = approvals.create(request());
  commit = 'c2';
  expect(codeOf(() => approvals.decide(ada, id, approve))).toBe('HOOP_APPROVAL_ENDED');
  expect(approvals.visible(erin, id).state).toBe('void');
});

test('an approver who has left the group since does not count at release', () => {
  const { id } = approvals.create(request());
  expect(approvals.decide(ada, id, approve).state).toBe('approved');
  const claims = JSON.stringify({ groups: ['sales'] });
  index.database
    .prepare(
      'INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms, expires_ms, claims, revoked) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, 0)',
    )
    .run('f1', ISSUER, 'ada', 'jkt', now, now, now + 1000, claims);
  expect(approvals.use(id)).toBeUndefined();
  expect(approvals.visible(erin, id)).toMatchObject({ state: 'void' });
});

test('who could approve is counted by the newest login of each person, without who asks', () => {
  let logins = 0;
  const login = (sub: string, groups: readonly string[]): void => {
    logins += 1;
    index.database
      .prepare(
        'INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms, expires_ms, claims, revoked) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, 0)',
      )
      .run(`f${logins}`, ISSUER, sub, 'jkt', now, now + logins, now, JSON.stringify({ groups }));
  };
  const record = approvals.create(request());
  const known = () => record.needs.map((need) => approvals.known(record, need));
  expect(known()).toEqual([0]);
  login('erin', ['dba']);
  login('ada', ['sales']);
  expect(known()).toEqual([0]);
  login('ada', ['dba', 'leads']);
  login('ada', ['dba']);
  login('bob', ['dba']);
  expect(known()).toEqual([2]);
  login('bob', ['sales']);
  expect(known()).toEqual([1]);
  agents.add('ada');
  expect(known()).toEqual([0]);
});

test('a workload that has logged in is nobody who could approve', () => {
  const claims = { kind: 'workload', issuer: ISSUER, sub: 'ci', claims: { groups: ['dba'] } };
  index.database
    .prepare(
      'INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms, expires_ms, claims, revoked) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, 0)',
    )
    .run('f1', ISSUER, 'ci', 'jkt', now, now, now + 1000, JSON.stringify(claims));
  const record = approvals.create(request());
  expect(record.needs.map((need) => approvals.known(record, need))).toEqual([0]);
});

test('what waits with a connection ends with the gateway; an approval to be used later survives, once', () => {
  const held = approvals.create(request({ diesWithConnection: true }));
  const later = approvals.create(request());
  approvals.decide(ada, later.id, approve);
  reopen();
  expect(approvals.visible(erin, held.id)).toMatchObject({ state: 'withdrawn' });
  expect(approvals.use(later.id)?.state).toBe('used');
  reopen();
  expect(approvals.use(later.id)).toBeUndefined();
});

test('what was approved and not acted on is told again after a restart', () => {
  const { id } = approvals.create(request({ kind: 'access' }));
  const told: string[] = [];
  const handler = {
    needs: (record: { needs: NewApproval['needs'] }) => record.needs,
    onDecided: (record: { id: string; state: string }) => told.push(`${record.id} ${record.state}`),
  };
  approvals.handle('access', handler);
  approvals.decide(ada, id, approve);
  reopen();
  approvals.handle('access', handler);
  expect(told).toEqual([`${id} approved`, `${id} approved`]);
});

test('one person cannot fill the list of everyone', () => {
  for (let made = 0; made < MAX_OPEN_PER_PERSON; made += 1) approvals.create(request());
  expect(codeOf(() => approvals.create(request()))).toBe('HOOP_LIMIT');
  expect(codeOf(() => approvals.create(request({ requester: bob })))).toBe('done');
});

test('runs of a person cannot fill what the person may have open, also after a restart', () => {
  const ask = (run?: string) => codeOf(() => approvals.create(request({ run })));
  for (let made = 0; made < MAX_OPEN_OF_RUNS; made += 1) expect(ask(`run-${made}`)).toBe('done');
  reopen();
  expect(ask('run-more')).toBe('HOOP_LIMIT');
  for (let made = MAX_OPEN_OF_RUNS; made < MAX_OPEN_PER_PERSON; made += 1) {
    expect(ask()).toBe('done');
  }
  expect(ask()).toBe('HOOP_LIMIT');
});

test('nor ask so often that the person cannot', () => {
  const ask = (run?: string) =>
    codeOf(() => approvals.end(approvals.create(request({ run })).id, 'withdrawn', 'canceled'));
  const outcomes = Array.from({ length: 50 }, () => ask('run-1'));
  expect(outcomes.filter((outcome) => outcome === 'HOOP_LIMIT')).toHaveLength(5);
  expect(ask()).toBe('done');
  now += 61_000;
  expect(ask('run-1')).toBe('done');
});

test('making and withdrawing requests in a loop is stopped, too', () => {
  const outcomes = Array.from({ length: 70 }, () =>
    codeOf(() => approvals.end(approvals.create(request()).id, 'withdrawn', 'canceled')),
  );
  expect(outcomes.filter((outcome) => outcome === 'HOOP_LIMIT')).toHaveLength(10);
  now += 61_000;
  expect(codeOf(() => approvals.create(request()))).toBe('done');
});

test('what people write reaches other terminals as one plain line', () => {
  const { id } = approvals.create(request({ reason: 'urgent\u001b]0;owned\u0007\n\u202eevil' }));
  const record = approvals.decide(ada, id, {
    decision: 'deny',
    reason: 'no\r\n\u001b[31mERROR: x',
  });
  expect(record.reason).toBe('urgent ]0;owned evil');
  expect(record.votes[0]?.reason).toBe('no [31mERROR: x');
});

test('statements and values are not in the clear in the index, nor in the log', () => {
  const { id } = approvals.create(request());
  expect(approvals.details(id)).toEqual({
    text: "DELETE FROM customers WHERE email = 'a@b.example'",
  });
  const row = index.database.prepare('SELECT * FROM approvals').get();
  const stored = Object.values(row ?? {}).map((value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
  );
  expect(stored.join()).not.toContain('customers');
  expect(log.text()).not.toContain('customers');
});

test('requests and votes of before there were commands are kept when the table is made anew', () => {
  approvals[Symbol.dispose]();
  index[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  const before = new DatabaseSync(join(directory, 'index.sqlite'));
  for (const sql of MIGRATIONS.slice(0, KINDS_MIGRATION)) {
    before.exec(sql);
  }
  const needs = JSON.stringify([{ rule: 'p/deletes', groups: ['dba'], count: 2 }]);
  before.exec(`PRAGMA user_version = ${KINDS_MIGRATION};
    INSERT INTO approvals (id, kind, state, issuer, sub, name, target, dies_with_connection, needs,
      policy_commit, binding, created_ms, waits_until_ms, usable_seconds, details)
    VALUES ('0123456789ab', 'statement', 'waiting', '${ISSUER}', 'erin', 'erin', 'prod-db', 0,
      '${needs}', 'c1', 'b1', ${now}, ${now + 60_000}, 60, X'00');
    INSERT INTO approval_votes (approval, issuer, sub, name, voter_groups, decision, time_ms)
    VALUES ('0123456789ab', '${ISSUER}', 'ada', 'ada', '["dba"]', 'approve', ${now});`);
  before.close();
  open();
  expect(approvals.visible(erin, '0123456789ab').votes).toMatchObject([{ by: { sub: 'ada' } }]);
  expect(approvals.decide(bob, '0123456789ab', approve).state).toBe('approved');
  approvals.handle('command', { needs: ({ needs: asked }) => asked });
  expect(approvals.create(request({ kind: 'command', details: {} })).kind).toBe('command');
});
