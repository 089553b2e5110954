import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StatementPart } from '../../../../src/api/approvals.ts';
import { askStatement as askOnce } from '../../../../src/connectors/postgres/gateway/results/shown-changes.ts';
import { ApprovalStore } from '../../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../../src/gateway/approvals/approvals.ts';
import { SealedJson } from '../../../../src/gateway/approvals/sealed-json.ts';
import { sessionRequest } from '../../../../src/gateway/approvals/session-approvals.ts';
import { IndexStore } from '../../../../src/gateway/index/index-store.ts';
import type { RowChanges } from '../../../../src/policy/row-changes.ts';
import type { ApprovalDemand, Principal } from '../../../../src/policy/types.ts';
import { Secret } from '../../../../src/secret.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { NO_EVENTS } from '../../../gateway/no-events.ts';

const ISSUER = 'https://idp.example';

function person(sub: string, groups: readonly string[]): Principal {
  const name = `${sub}@example.org`;
  return { kind: 'person', issuer: ISSUER, sub, name, email: undefined, groups, roles: [] };
}

const erin = person('erin', ['engineering']);
const ada = person('ada', ['dba']);
const demands: readonly ApprovalDemand[] = [
  {
    rule: { id: 'p/many', file: 'policies/p.yaml', line: 3 },
    terms: { groups: ['dba'], count: 1, timeoutSeconds: 60, waits: true, maxHoldSeconds: 30 },
    hint: undefined,
  },
];

let directory: string;
let index: IndexStore;
let approvals: Approvals;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-changes-'));
  index = IndexStore.open(join(directory, 'index.sqlite'));
  const store = new ApprovalStore(
    index.store,
    new SealedJson(new Secret(new Uint8Array(32).fill(7))),
  );
  approvals = await Approvals.open({
    events: NO_EVENTS,
    node: 'node',
    store,
    isAgent: () => false,
    isBlocked: () => false,
    log: collectLog().log,
    clock: () => 1_000_000,
  });
  await approvals.handle('statement', { needs: ({ needs }) => needs });
});

afterEach(() => {
  approvals[Symbol.dispose]();
  index[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** As a statement in a transaction of the client is asked about: it fails, and is sent again. */
function ask(changes: RowChanges | undefined) {
  const options = {
    approvals,
    session: 's1',
    run: undefined,
    principal: erin,
    reason: undefined,
    prompt: () => undefined,
    policy: { grant: () => undefined, identityProviders: () => [] },
    clock: () => 1_000_000,
    target: { name: 'prod-db' },
  };
  const about = {
    demands,
    policyCommit: 'c1',
    waits: false,
    ...(changes === undefined ? {} : { changes }),
  } as const;
  return askOnce(options, about, 'b1', (waits) =>
    approvals.create({
      ...sessionRequest(options, about, 'b1', waits),
      kind: 'statement',
      details: statementWith(changes),
    }),
  );
}

function statementWith(changes: RowChanges | undefined): StatementPart {
  return {
    session: 's1',
    stream: 1,
    at: 0,
    text: 'DELETE FROM orders WHERE id > 5',
    view: [],
    later: [],
    shortened: false,
    prepared: [],
    settings: [],
    parameters: [],
    verbs: ['delete'],
    relations: ['public.orders'],
    database: 'shop',
    inTransaction: true,
    waits: false,
    estimate: { state: 'pending' },
    ...(changes === undefined
      ? {}
      : { changes: changes.counted === 'trial' ? { ...changes, relations: [] } : changes }),
  };
}

const trial = (rows: number): RowChanges => ({ counted: 'trial', rows, relations: [] });
const approve = (id: string) => approvals.decide(ada, id, { decision: 'approve' });

test('an approval is found again by what changes up to as many rows as were shown', async () => {
  const first = await ask(trial(100));
  await approve(first.id);
  const again = await ask(trial(90));
  expect([again.id, again.standing.state, again.changes]).toEqual([
    first.id,
    'approved',
    trial(100),
  ]);
  // The record must not say that a statement waits which has failed.
  expect(again.waits).toBe(false);
  expect((await again.use())?.state).toBe('used');
});

test('what would change one row more is asked about anew, and the approval for fewer is void', async () => {
  const first = await ask(trial(100));
  await approve(first.id);
  const again = await ask(trial(101));
  expect(again.id).not.toBe(first.id);
  expect(again.standing.state).toBe('waiting');
  expect(await first.use()).toBeUndefined();
  expect(await approvals.visible(erin, first.id)).toMatchObject({
    state: 'void',
    outcome: 'it would now change more rows',
  });
});

test('an approval of a number does not cover what cannot be counted', async () => {
  const first = await ask(trial(100));
  await approve(first.id);
  const unknown: RowChanges = { counted: 'not counted', why: 'public.far is a foreign table' };
  const again = await ask(unknown);
  expect(again.id).not.toBe(first.id);
  await approve(again.id);
  expect(await ask(trial(1_000_000))).toMatchObject({ id: again.id, changes: unknown });
});

test('whoever was told no is not asked again with another number', async () => {
  const first = await ask(trial(100));
  await approvals.decide(ada, first.id, { decision: 'deny', reason: 'use the archive job' });
  for (const rows of [50, 200]) {
    expect(await ask(trial(rows))).toMatchObject({ id: first.id, standing: { state: 'denied' } });
  }
});
