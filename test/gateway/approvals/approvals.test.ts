import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApprovalNeed, NewApproval } from '../../../src/gateway/approvals/approval-record.ts';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../src/gateway/approvals/approvals.ts';
import { mayDecide } from '../../../src/gateway/approvals/may-decide.ts';
import {
  MAX_OPEN_OF_RUNS,
  MAX_OPEN_PER_PERSON,
} from '../../../src/gateway/approvals/request-limits.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { otherPeople } from '../../../src/gateway/identity/same-person.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import { MIGRATIONS } from '../../../src/gateway/store/schema.ts';
import { type Store, sql } from '../../../src/gateway/store/store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { Secret } from '../../../src/secret.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

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

const storesOf = testStores();
let stores: TestStores;
let store: Store;
let logins: number;
let approvals: Approvals;
let now: number;
let commit: string;
/** Subjects that the policy in force knows as agents. */
let agents: Set<string>;
/** Who is kept out, of which target. */
let blocked: Map<string, string>;
const log = collectLog();

/** A login of somebody, newer than those before. */
async function login(sub: string, claims: object): Promise<void> {
  logins += 1;
  await store.change(
    sql(
      `INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms,
         expires_ms, claims, revoked)
       VALUES ($id, $issuer, $sub, 'jkt', 0, $now, $at, $now, $claims, 0)`,
    ),
    {
      id: `f${logins}`,
      issuer: ISSUER,
      sub,
      now,
      at: now + logins,
      claims: JSON.stringify(claims),
    },
  );
}

async function open(): Promise<void> {
  store = await stores.open();
  approvals = await openOn(store);
}

async function openOn(handle: Store): Promise<Approvals> {
  const sealed = new SealedJson(new Secret(new Uint8Array(32).fill(7)));
  const kept = new ApprovalStore(handle, sealed);
  const isAgent = ({ sub }: { sub: string }) => agents.has(sub);
  const isBlocked = ({ sub }: { sub: string }, target: string) => blocked.get(sub) === target;
  const opened = await Approvals.open({
    events: NO_EVENTS,
    node: 'node',
    store: kept,
    isAgent,
    isBlocked,
    log: log.log,
    clock: () => now,
  });
  await opened.handle('statement', {
    needs: ({ needs, policyCommit }) => (policyCommit === commit ? needs : undefined),
  });
  return opened;
}

async function reopen(): Promise<void> {
  approvals[Symbol.dispose]();
  await stores.close();
  await open();
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

async function codeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'done';
}

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    now = START;
    commit = 'c1';
    agents = new Set();
    blocked = new Map();
    logins = 0;
    await open();
  });
  afterEach(async () => {
    approvals[Symbol.dispose]();
    await stores[Symbol.asyncDispose]();
  });

  test('one approval by a member of the group approves, and is used once', async () => {
    const { id } = await approvals.create(request());
    expect(await approvals.use(id)).toBeUndefined();
    expect((await approvals.decide(ada, id, approve)).state).toBe('approved');
    expect((await approvals.use(id))?.state).toBe('used');
    expect(await approvals.use(id)).toBeUndefined();
    expect(await codeOf(() => approvals.decide(bob, id, approve))).toBe('HOOP_APPROVAL_ENDED');
  });

  test('the word of somebody who was blocked since releases nothing, and counts elsewhere', async () => {
    const { id } = await approvals.create(request());
    const other = await approvals.create(request({ target: 'reports', binding: 'b2' }));
    await approvals.decide(ada, id, approve);
    await approvals.decide(ada, other.id, approve);
    blocked.set('ada', 'prod-db');
    expect(await approvals.use(id)).toBeUndefined();
    expect(await approvals.visible(erin, id)).toMatchObject({ state: 'void' });
    expect((await approvals.use(other.id))?.state).toBe('used');
  });

  test('a second approver does not complete what a blocked one has begun', async () => {
    const { id } = await approvals.create(
      request({ needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] }),
    );
    await approvals.decide(ada, id, approve);
    blocked.set('ada', 'prod-db');
    expect((await approvals.decide(bob, id, approve)).state).toBe('waiting');
    expect(await approvals.use(id)).toBeUndefined();
    blocked.clear();
    expect((await approvals.decide(person('cleo', ['dba']), id, approve)).state).toBe('approved');
  });

  test('who asked cannot approve, whatever they call themselves and whatever group they are in', async () => {
    const { id } = await approvals.create(request());
    const self = person('erin', ['dba'], { name: 'somebody.else@example.org' });
    expect(await codeOf(() => approvals.decide(self, id, approve))).toBe('HOOP_APPROVAL_SELF');
    expect((await approvals.visible(erin, id)).votes).toEqual([]);
  });

  test('an approver who came by device code neither sees nor decides; in a browser the same person does', async () => {
    const { id } = await approvals.create(request());
    const device = person('ada', ['dba'], { viaDevice: true });
    expect(await codeOf(() => approvals.decide(device, id, approve))).toBe('HOOP_APPROVAL_UNKNOWN');
    expect(await approvals.list(device, { isOpen: true, limit: 10 })).toEqual([]);
    const own = person('erin', ['engineering'], { viaDevice: true });
    expect((await approvals.visible(own, id)).id).toBe(id);
    expect((await approvals.decide(ada, id, approve)).state).toBe('approved');
  });

  test('an agent with a login of its own neither sees nor decides, whatever group it is in', async () => {
    const { id } = await approvals.create(request({ agent: 'devin' }));
    const bot = person('bot', ['dba'], { agent: 'devin', isAgent: true });
    for (const decision of ['approve', 'deny'] as const) {
      expect(await codeOf(() => approvals.decide(bot, id, { decision }))).toBe(
        'HOOP_APPROVAL_UNKNOWN',
      );
    }
    expect(await approvals.list(bot, { isOpen: true, limit: 10 })).toEqual([]);
    const auditing = person('bot', ['dba'], { agent: 'devin', isAgent: true, roles: ['auditor'] });
    expect(mayDecide(auditing, await approvals.visible(auditing, id))).toBe(false);
    expect(await codeOf(() => approvals.decide(auditing, id, approve))).toBe('HOOP_ACCESS_DENIED');
    expect(await approvals.visible(erin, id)).toMatchObject({ state: 'waiting', votes: [] });
  });

  test('for whom a workload works, by its issuer’s word, does not decide what it asks for', async () => {
    const asked = request({ requester: person('ci', []), requestedFor: 'ADA@example.com' });
    const record = await approvals.create(asked);
    const requester = { ...ada, name: 'Ada', email: 'ada@Example.com' };
    expect(mayDecide(requester, record)).toBe(false);
    for (const decision of ['approve', 'deny'] as const) {
      expect(await codeOf(() => approvals.decide(requester, record.id, { decision }))).toBe(
        'HOOP_APPROVAL_SELF',
      );
    }
    await reopen();
    await approvals.handle('statement', { needs: ({ needs }) => needs });
    expect(await codeOf(() => approvals.decide(requester, record.id, approve))).toBe(
      'HOOP_APPROVAL_SELF',
    );
    expect(await approvals.decide(bob, record.id, approve)).toMatchObject({
      state: 'approved',
      requestedFor: 'ADA@example.com',
    });
    // A claim gives nothing: whoever it names sees no more than before.
    const stranger = { ...person('zoe', []), email: 'ADA@example.com' };
    expect(await approvals.list(stranger, { isOpen: true, limit: 10 })).toEqual([]);
  });

  test('the word of a login that a commit has made an agent no longer counts', async () => {
    const two = [{ rule: 'p/deletes', groups: ['dba'], count: 2 }];
    const half = await approvals.create(request({ needs: two }));
    const whole = await approvals.create(request());
    await approvals.decide(ada, half.id, approve);
    expect((await approvals.decide(ada, whole.id, approve)).state).toBe('approved');
    agents.add('ada');
    expect((await approvals.decide(bob, half.id, approve)).state).toBe('waiting');
    expect(await approvals.use(whole.id)).toBeUndefined();
  });

  test('somebody with the same subject at another provider is somebody else', async () => {
    const { id } = await approvals.create(request());
    const other = person('erin', ['dba'], { issuer: 'https://other.example' });
    expect((await approvals.decide(other, id, approve)).state).toBe('approved');
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
      async (_, [one, other]) => {
        const { id } = await approvals.create(request({ requester: person('erin', [], one) }));
        await reopen();
        const voter = person('adm-erin', ['dba'], other);
        expect(await codeOf(() => approvals.decide(voter, id, approve))).toBe('HOOP_APPROVAL_SELF');
        expect(mayDecide(voter, await approvals.visible(voter, id))).toBe(false);
        expect((await approvals.decide(ada, id, approve)).state).toBe('approved');
      },
    );

    test.each(Object.entries(pairs))(
      'approves twice and counts once: %s',
      async (_, [one, other]) => {
        const { id } = await approvals.create(request(two));
        expect((await approvals.decide(person('bo', ['dba'], one), id, approve)).state).toBe(
          'waiting',
        );
        await reopen();
        const again = person('adm-bo', ['dba'], other);
        expect(await codeOf(() => approvals.decide(again, id, approve))).toBe(
          'HOOP_APPROVAL_VOTED',
        );
        expect(mayDecide(again, await approvals.visible(again, id))).toBe(false);
        expect((await approvals.decide(ada, id, approve)).state).toBe('approved');
      },
    );

    test('is told by a third account that shares something with both', async () => {
      const { id } = await approvals.create(request(two));
      const first = person('bo', ['dba'], { subject: 'oid-1' });
      const second = person('bo2', ['dba'], { verifiedEmail: 'bo@example.org' });
      expect((await approvals.decide(first, id, approve)).state).toBe('waiting');
      await approvals.decide(second, id, approve);
      const { state } = await approvals.visible(erin, id);
      // Nothing tells yet that these are one: two different people look the same.
      expect(state).toBe('approved');
      const both = { ...first, verifiedEmail: 'bo@example.org' };
      expect(otherPeople(erin, [first, second])).toHaveLength(2);
      expect(otherPeople(erin, [first, second, both])).toHaveLength(1);
      expect(otherPeople(erin, [first, second, both, { ...erin, subject: 'oid-1' }])).toHaveLength(
        0,
      );
    });

    test('different people are not taken for one', async () => {
      const marks = (name: string, issuer = ISSUER): Partial<Principal> => ({
        issuer,
        subject: `oid-${name}`,
        verifiedEmail: `${name}@example.org`,
        loginKey: `key-${name}`,
      });
      const { id } = await approvals.create(
        request({
          ...two,
          requester: person('erin', [], { ...marks('erin'), email: 'x@y.example' }),
        }),
      );
      // An unverified address is anybody's, and a subject means nothing at another provider.
      const carol = person('carol', ['dba'], { ...marks('carol'), email: 'x@y.example' });
      const dan = person('dan', ['dba'], { ...marks('dan', console), subject: 'oid-erin' });
      expect((await approvals.decide(carol, id, approve)).state).toBe('waiting');
      expect((await approvals.decide(dan, id, approve)).state).toBe('approved');
      expect((await approvals.use(id))?.state).toBe('used');
    });

    test('is one who could approve, or none when it asks', async () => {
      const subject = { claim: 'oid', value: 'oid-1' };
      const record = await approvals.create(request());
      const [need] = record.needs;
      if (need === undefined) throw new Error('there is no need');
      await login('bo', { groups: ['dba'], subject });
      await login('bo-device', { groups: ['dba'], subject });
      expect(await approvals.known(record, need)).toBe(1);
      const own = await approvals.create(
        request({ requester: person('x', [], { subject: 'oid-1' }), binding: 'b2' }),
      );
      expect(await approvals.known(own, need)).toBe(0);
    });
  });

  test('two approvals are those of two people', async () => {
    const { id } = await approvals.create(
      request({ needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] }),
    );
    expect((await approvals.decide(ada, id, approve)).state).toBe('waiting');
    expect(await codeOf(() => approvals.decide(ada, id, approve))).toBe('HOOP_APPROVAL_VOTED');
    expect((await approvals.decide(bob, id, approve)).state).toBe('approved');
  });

  describe('of two rules', () => {
    const DBA_AND_LEADS = [
      { rule: 'p/deletes', groups: ['dba'], count: 1 },
      { rule: 'q/unqualified', groups: ['leads'], count: 1 },
    ];

    test('a person in both groups counts for one of them, and the second vote says so', async () => {
      const { id } = await approvals.create(request({ needs: DBA_AND_LEADS }));
      expect((await approvals.decide(bob, id, approve)).state).toBe('waiting');
      expect(await approvals.use(id)).toBeUndefined();
      await expect(approvals.decide(bob, id, approve)).rejects.toMatchObject({
        code: 'HOOP_APPROVAL_VOTED',
        detail:
          'Its rules name different groups, so different people must approve. Your approval counts for one group.',
      });
      await reopen();
      expect((await approvals.decide(ada, id, approve)).state).toBe('approved');
      expect((await approvals.use(id))?.state).toBe('used');
    });

    test('with two accounts, one person in both groups still counts once', async () => {
      const { id } = await approvals.create(request({ needs: DBA_AND_LEADS }));
      const one = person('bo', ['dba'], { subject: 'oid-1' });
      const other = person('adm-bo', ['leads'], { subject: 'oid-1' });
      expect((await approvals.decide(one, id, approve)).state).toBe('waiting');
      expect(await codeOf(() => approvals.decide(other, id, approve))).toBe('HOOP_APPROVAL_VOTED');
    });

    test.each([
      ['the person in both groups first', [bob, ada]],
      ['the person in both groups last', [ada, bob]],
    ])('two people satisfy both, %s', async (_, [first, second]) => {
      const { id } = await approvals.create(request({ needs: DBA_AND_LEADS }));
      if (first === undefined || second === undefined) throw new Error('two people vote');
      expect((await approvals.decide(first, id, approve)).state).toBe('waiting');
      expect((await approvals.decide(second, id, approve)).state).toBe('approved');
    });

    test('two people of one group do not satisfy the other', async () => {
      const { id } = await approvals.create(request({ needs: DBA_AND_LEADS }));
      await approvals.decide(ada, id, approve);
      const record = await approvals.decide(person('cleo', ['dba']), id, approve);
      expect(record.state).toBe('waiting');
      expect(await approvals.approvedBy(record)).toEqual([1, 0]);
    });

    test('overlapping groups need two people, and the same groups in another order one', async () => {
      const overlapping = [
        { rule: 'p/deletes', groups: ['dba', 'leads'], count: 1 },
        { rule: 'q/unqualified', groups: ['leads'], count: 1 },
      ];
      const two = await approvals.create(request({ needs: overlapping }));
      expect((await approvals.decide(bob, two.id, approve)).state).toBe('waiting');
      expect((await approvals.decide(ada, two.id, approve)).state).toBe('approved');
      const same = [
        { rule: 'p/deletes', groups: ['dba', 'leads'], count: 1 },
        { rule: 'q/unqualified', groups: ['leads', 'dba'], count: 1 },
      ];
      const one = await approvals.create(request({ needs: same, binding: 'b2' }));
      expect((await approvals.decide(ada, one.id, approve)).state).toBe('approved');
    });

    test('a gateway that knows one person in both groups says that a second is missing', async () => {
      const record = await approvals.create(request({ needs: DBA_AND_LEADS }));
      await login('bob', { groups: ['dba', 'leads'] });
      expect(await approvals.lacking(record)).toEqual([{ groups: ['leads', 'dba'], known: 1 }]);
      await login('ada', { groups: ['dba'] });
      expect(await approvals.lacking(record)).toEqual([]);
    });
  });

  test('those who are no approvers do not see it, auditors see it and cannot decide, workloads neither', async () => {
    const { id } = await approvals.create(request());
    const carl = person('carl', ['sales']);
    const audit = person('audra', [], { roles: ['auditor'] });
    const robot = person('robot', ['dba'], { kind: 'workload' });
    expect(await codeOf(() => approvals.decide(carl, id, approve))).toBe('HOOP_APPROVAL_UNKNOWN');
    expect(await codeOf(() => approvals.decide(audit, id, approve))).toBe('HOOP_ACCESS_DENIED');
    expect(await codeOf(() => approvals.decide(robot, id, approve))).toBe('HOOP_ACCESS_DENIED');
    expect(await approvals.list(carl, { isOpen: true, limit: 10 })).toEqual([]);
    expect(await approvals.list(audit, { isOpen: true, limit: 10 })).toHaveLength(1);
  });

  test('a denial ends it, also by someone who had approved, and cannot be approved away', async () => {
    const { id } = await approvals.create(
      request({ needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] }),
    );
    await approvals.decide(ada, id, approve);
    expect(
      (await approvals.decide(ada, id, { decision: 'deny', reason: 'wrong table' })).state,
    ).toBe('denied');
    expect(await codeOf(() => approvals.decide(bob, id, approve))).toBe('HOOP_APPROVAL_ENDED');
    expect(await approvals.use(id)).toBeUndefined();
  });

  test('after it was withdrawn, or its time is over, nothing can be approved or used', async () => {
    const withdrawn = await approvals.create(request());
    await approvals.end(withdrawn.id, 'withdrawn', 'canceled');
    expect(await codeOf(() => approvals.decide(ada, withdrawn.id, approve))).toBe(
      'HOOP_APPROVAL_ENDED',
    );
    const late = await approvals.create(request());
    now += 60_000;
    expect(await codeOf(() => approvals.decide(ada, late.id, approve))).toBe('HOOP_APPROVAL_ENDED');
    const unused = await approvals.create(request());
    await approvals.decide(ada, unused.id, approve);
    now += 60_000;
    expect(await approvals.use(unused.id)).toBeUndefined();
    expect((await approvals.visible(erin, unused.id)).state).toBe('expired');
  });

  test('a decision about something else than what was shown does not count', async () => {
    const { id } = await approvals.create(request());
    const said = { ...approve, binding: 'another' };
    expect(await codeOf(() => approvals.decide(ada, id, said))).toBe('HOOP_APPROVAL_ENDED');
    expect((await approvals.visible(erin, id)).votes).toEqual([]);
  });

  test('when the policy has changed, a decision voids it', async () => {
    const { id } = await approvals.create(request());
    commit = 'c2';
    expect(await codeOf(() => approvals.decide(ada, id, approve))).toBe('HOOP_APPROVAL_ENDED');
    expect((await approvals.visible(erin, id)).state).toBe('void');
  });

  test('an approver who has left the group since does not count at release', async () => {
    const { id } = await approvals.create(request());
    expect((await approvals.decide(ada, id, approve)).state).toBe('approved');
    await login('ada', { groups: ['sales'] });
    expect(await approvals.use(id)).toBeUndefined();
    expect(await approvals.visible(erin, id)).toMatchObject({ state: 'void' });
  });

  test('who could approve is counted by the newest login of each person, without who asks', async () => {
    const record = await approvals.create(request());
    const known = () => Promise.all(record.needs.map((need) => approvals.known(record, need)));
    expect(await known()).toEqual([0]);
    await login('erin', { groups: ['dba'] });
    await login('ada', { groups: ['sales'] });
    expect(await known()).toEqual([0]);
    await login('ada', { groups: ['dba', 'leads'] });
    await login('ada', { groups: ['dba'] });
    await login('bob', { groups: ['dba'] });
    expect(await known()).toEqual([2]);
    await login('bob', { groups: ['sales'] });
    expect(await known()).toEqual([1]);
    agents.add('ada');
    expect(await known()).toEqual([0]);
  });

  test('a workload that has logged in is nobody who could approve', async () => {
    const claims = { kind: 'workload', issuer: ISSUER, sub: 'ci', claims: { groups: ['dba'] } };
    await login('ci', claims);
    const record = await approvals.create(request());
    expect(await approvals.known(record, record.needs[0] as ApprovalNeed)).toBe(0);
  });

  test('what waits with a connection ends with the gateway; an approval to be used later survives, once', async () => {
    const held = await approvals.create(request({ diesWithConnection: true }));
    const later = await approvals.create(request());
    await approvals.decide(ada, later.id, approve);
    await reopen();
    expect(await approvals.visible(erin, held.id)).toMatchObject({ state: 'withdrawn' });
    expect((await approvals.use(later.id))?.state).toBe('used');
    await reopen();
    expect(await approvals.use(later.id)).toBeUndefined();
  });

  test('what was approved and not acted on is told again after a restart', async () => {
    const { id } = await approvals.create(request({ kind: 'access' }));
    const told: string[] = [];
    const handler = {
      needs: (record: { needs: NewApproval['needs'] }) => record.needs,
      onDecided: (record: { id: string; state: string }) => {
        told.push(`${record.id} ${record.state}`);
      },
    };
    await approvals.handle('access', handler);
    await approvals.decide(ada, id, approve);
    await reopen();
    await approvals.handle('access', handler);
    expect(told).toEqual([`${id} approved`, `${id} approved`]);
  });

  test('one person cannot fill the list of everyone', async () => {
    for (let made = 0; made < MAX_OPEN_PER_PERSON; made += 1) await approvals.create(request());
    expect(await codeOf(() => approvals.create(request()))).toBe('HOOP_LIMIT');
    expect(await codeOf(() => approvals.create(request({ requester: bob })))).toBe('done');
  });

  test('runs of a person cannot fill what the person may have open, also after a restart', async () => {
    const ask = (run?: string) => codeOf(() => approvals.create(request({ run })));
    for (let made = 0; made < MAX_OPEN_OF_RUNS; made += 1)
      expect(await ask(`run-${made}`)).toBe('done');
    await reopen();
    expect(await ask('run-more')).toBe('HOOP_LIMIT');
    for (let made = MAX_OPEN_OF_RUNS; made < MAX_OPEN_PER_PERSON; made += 1) {
      expect(await ask()).toBe('done');
    }
    expect(await ask()).toBe('HOOP_LIMIT');
  });

  /** One after the other; @returns how many were refused. */
  async function refusedOf(count: number, run?: string): Promise<number> {
    let refused = 0;
    for (let made = 0; made < count; made += 1) {
      if ((await askAndWithdraw(run)) === 'HOOP_LIMIT') refused += 1;
    }
    return refused;
  }

  function askAndWithdraw(run?: string): Promise<unknown> {
    return codeOf(async () => {
      const { id } = await approvals.create(request({ run }));
      await approvals.end(id, 'withdrawn', 'canceled');
    });
  }

  test('nor ask so often that the person cannot', async () => {
    expect(await refusedOf(50, 'run-1')).toBe(5);
    expect(await askAndWithdraw()).toBe('done');
    now += 61_000;
    expect(await askAndWithdraw('run-1')).toBe('done');
  });

  test('making and withdrawing requests in a loop is stopped, too', async () => {
    expect(await refusedOf(70)).toBe(10);
    now += 61_000;
    expect(await codeOf(() => approvals.create(request()))).toBe('done');
  });

  test('what people write reaches other terminals as one plain line', async () => {
    const { id } = await approvals.create(
      request({ reason: 'urgent\u001b]0;owned\u0007\n\u202eevil' }),
    );
    const record = await approvals.decide(ada, id, {
      decision: 'deny',
      reason: 'no\r\n\u001b[31mERROR: x',
    });
    expect(record.reason).toBe('urgent ]0;owned evil');
    expect(record.votes[0]?.reason).toBe('no [31mERROR: x');
  });

  test('statements and values are not in the clear in the index, nor in the log', async () => {
    const { id } = await approvals.create(request());
    expect(await approvals.details(id)).toEqual({
      text: "DELETE FROM customers WHERE email = 'a@b.example'",
    });
    const row = await store.get(sql('SELECT * FROM approvals'));
    const stored = Object.values(row ?? {}).map((value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
    );
    expect(stored.join()).not.toContain('customers');
    expect(log.text()).not.toContain('customers');
  });

  describe('two gateways', () => {
    const needsTwo = { needs: [{ rule: 'p/deletes', groups: ['dba'], count: 2 }] };
    let other: Approvals;
    beforeEach(async () => {
      other = await openOn(await stores.open());
    });
    afterEach(() => other[Symbol.dispose]());

    test('approve when two people vote at once, each at another one', async () => {
      for (let round = 0; round < 20; round += 1) {
        const { id } = await approvals.create(request({ ...needsTwo, binding: `b${round}` }));
        await Promise.all([approvals.decide(ada, id, approve), other.decide(bob, id, approve)]);
        expect(await approvals.visible(erin, id)).toMatchObject({
          state: 'approved',
          votes: [expect.anything(), expect.anything()],
        });
        expect((await other.use(id))?.state).toBe('used');
      }
    });

    test('count one person once who votes at both', async () => {
      const { id } = await approvals.create(request(needsTwo));
      const codes = await Promise.all([
        codeOf(() => approvals.decide(ada, id, approve)),
        codeOf(() => other.decide(ada, id, approve)),
      ]);
      expect(codes.toSorted()).toEqual(['HOOP_APPROVAL_VOTED', 'done']);
      expect(await approvals.visible(erin, id)).toMatchObject({ state: 'waiting' });
    });

    test('use an approval once', async () => {
      for (let round = 0; round < 10; round += 1) {
        const { id } = await approvals.create(request({ binding: `b${round}` }));
        await approvals.decide(ada, id, approve);
        const all = Array.from({ length: 8 }, (_, index) =>
          (index % 2 === 0 ? approvals : other).use(id),
        );
        const used = (await Promise.all(all)).filter((one) => one !== undefined);
        expect(used).toHaveLength(1);
      }
    });

    test('either deny or approve, and what was denied is not used', async () => {
      for (let round = 0; round < 10; round += 1) {
        const { id } = await approvals.create(request({ binding: `b${round}` }));
        const [, , used] = await Promise.all([
          codeOf(() => approvals.decide(ada, id, approve)),
          codeOf(() => other.decide(bob, id, { decision: 'deny', reason: 'no' })),
          approvals.use(id),
        ]);
        const { state } = await approvals.visible(erin, id);
        expect(['denied', 'approved', 'used']).toContain(state);
        expect(used === undefined).toBe(state !== 'used');
      }
    });

    test('let one person have no more open at both than at one', async () => {
      const all = Array.from({ length: MAX_OPEN_PER_PERSON + 10 }, (_, index) =>
        codeOf(() => (index % 2 === 0 ? approvals : other).create(request())),
      );
      const codes = await Promise.all(all);
      expect(codes.filter((code) => code === 'done')).toHaveLength(MAX_OPEN_PER_PERSON);
    });
  });
});

test('requests and votes of before there were commands are kept when the table is made anew', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'hoop-approvals-'));
  now = START;
  commit = 'c1';
  const before = new DatabaseSync(join(directory.path, 'index.sqlite'));
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
  using index = IndexStore.open(join(directory.path, 'index.sqlite'));
  using reopened = await openOn(index.store);
  expect((await reopened.visible(erin, '0123456789ab')).votes).toMatchObject([
    { by: { sub: 'ada' } },
  ]);
  expect((await reopened.decide(bob, '0123456789ab', approve)).state).toBe('approved');
  await reopened.handle('command', { needs: ({ needs: asked }) => asked });
  expect((await reopened.create(request({ kind: 'command', details: {} }))).kind).toBe('command');
});
