/** The engine with the real policy, catalog and approvals, over the server of one test file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../src/gateway/approvals/approvals.ts';
import { Estimates } from '../../../src/gateway/approvals/estimates.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { statementApprovals } from '../../../src/gateway/approvals/statement-approvals.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import type { PostgresTarget } from '../../../src/gateway/pg/types.ts';
import type { Grant, Principal } from '../../../src/policy/types.ts';
import { Secret } from '../../../src/secret.ts';
import { collectLog } from '../collect-log.ts';
import { type Bench, type BenchOptions, startBench } from './engine-bench.ts';
import { realEngine } from './real-engine.ts';

export const erin = person('erin', ['engineering']);
export const ada = person('ada', ['leads']);

function person(sub: string, groups: readonly string[]): Principal {
  return {
    kind: 'person',
    issuer: 'https://idp.example',
    sub,
    name: `${sub}@example.org`,
    email: undefined,
    groups,
    roles: [],
  };
}

export interface ApprovalBench {
  readonly approvals: () => Approvals;
  /** A session of erin's. */
  readonly open: (grant: () => Grant, others?: Pick<BenchOptions, 'changedRows'>) => Promise<Bench>;
}

export function approvalBench(target: () => PostgresTarget): ApprovalBench {
  const engine = realEngine(target);
  const { log } = collectLog();
  let directory = '';
  let index: IndexStore;
  let approvals: Approvals;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hoop-approvals-'));
    index = IndexStore.open(join(directory, 'index.sqlite'));
    const store = new ApprovalStore(index, new SealedJson(new Secret(new Uint8Array(32))));
    approvals = new Approvals({
      store,
      isAgent: () => false,
      isBlocked: () => false,
      log,
      clock: Date.now,
    });
    approvals.handle('statement', { needs: ({ needs }) => needs });
  });
  afterAll(async () => {
    approvals[Symbol.dispose]();
    index[Symbol.dispose]();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    approvals: () => approvals,
    open: (grant, others = {}) =>
      startBench({
        ...others,
        ...engine.parts(),
        target: target(),
        grant,
        approvals: statementApprovals({
          approvals,
          estimates: new Estimates(log),
          session: 'session-1',
          run: undefined,
          principal: erin,
          prompt: () => undefined,
          reason: 'ticket 7',
          target: target(),
          policy: { grant: () => ({ grant: grant() }), identityProviders: () => [] },
          clock: Date.now,
        }),
      }),
  };
}
