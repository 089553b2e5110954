/** The engine with the real policy, catalog and approvals, over the server of one test file. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { statementApprovals } from '../../../../src/connectors/postgres/gateway/approvals/statement-approvals.ts';
import { Estimates } from '../../../../src/connectors/postgres/gateway/counted/estimates.ts';
import type { PostgresTarget } from '../../../../src/connectors/postgres/gateway/types.ts';
import { ApprovalStore } from '../../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../../src/gateway/approvals/approvals.ts';
import type { PolicyView } from '../../../../src/gateway/approvals/policy-standing.ts';
import { SealedJson } from '../../../../src/gateway/approvals/sealed-json.ts';
import { IndexStore } from '../../../../src/gateway/index/index-store.ts';
import type { ApprovalTerms, Grant, Principal } from '../../../../src/policy/types.ts';
import { Secret } from '../../../../src/secret.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { NO_EVENTS } from '../../../gateway/no-events.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, type BenchOptions, startBench } from './engine-bench.ts';
import { type RawClient, type Received, report } from './raw-client.ts';
import { type RealEngine, realEngine } from './real-engine.ts';

export const erin = person('erin', ['engineering']);
export const ada = person('ada', ['leads']);

export function person(sub: string, groups: readonly string[]): Principal {
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

/** Whose session it is, and what is another than in most tests. */
export interface SessionOptions
  extends Partial<Pick<BenchOptions, 'changedRows' | 'lookups' | 'catalog'>> {
  /** Default: erin. */
  readonly principal?: Principal;
  readonly session?: string;
  readonly run?: string | undefined;
  /** As the gateway's configuration has the target by then. */
  readonly at?: Partial<PostgresTarget>;
}

export interface ApprovalBench {
  readonly approvals: () => Approvals;
  readonly index: () => IndexStore;
  readonly engine: RealEngine;
  /** The log of approvals, as text. */
  readonly logged: () => string;
  /** Requests as a gateway has them that has just started. */
  readonly restart: () => Promise<Approvals>;
  readonly open: (grant: () => Grant, options?: SessionOptions) => Promise<Bench>;
}

export function approvalBench(target: () => PostgresTarget): ApprovalBench {
  const engine = realEngine(target);
  const { log, text: logged } = collectLog();
  let directory = '';
  let index: IndexStore;
  let approvals: Approvals;
  const start = async (): Promise<Approvals> => {
    const store = new ApprovalStore(index.store, new SealedJson(new Secret(new Uint8Array(32))));
    const none = { isAgent: () => false, isBlocked: () => false };
    approvals = await Approvals.open({
      events: NO_EVENTS,
      node: 'node',
      store,
      ...none,
      log,
      clock: Date.now,
    });
    await approvals.handle('statement', { needs: ({ needs }) => needs });
    return approvals;
  };
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hoop-approvals-'));
    index = IndexStore.open(join(directory, 'index.sqlite'));
    await start();
  });
  afterAll(async () => {
    approvals[Symbol.dispose]();
    index[Symbol.dispose]();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    approvals: () => approvals,
    index: () => index,
    engine,
    logged,
    async restart() {
      approvals[Symbol.dispose]();
      return start();
    },
    open(grant, { principal = erin, session = 'session-1', run, at, ...others } = {}) {
      return startBench({
        ...engine.parts(),
        ...others,
        target: target(),
        grant,
        ...(run === undefined ? {} : { wholeMessages: 'all' as const }),
        approvals: statementApprovals({
          approvals,
          estimates: new Estimates(log),
          session,
          run,
          principal,
          prompt: () => undefined,
          reason: 'ticket 7',
          target: { ...target(), ...at },
          policy: inForce(grant),
          clock: Date.now,
        }),
      });
    },
  };
}

export function inForce(grant: () => Grant): PolicyView {
  return { grant: () => ({ grant: grant() }), identityProviders: () => [] };
}

let commits = 0;

/** Of a commit of its own. @param terms other than those that its approve rules have */
export function grantOfCommit(rules: readonly string[], terms: Partial<ApprovalTerms> = {}): Grant {
  commits += 1;
  const grant = grantOf({ rules });
  return {
    ...grant,
    commit: `commit-${commits}`,
    generation: `generation-${commits}`,
    rules: grant.rules.map((rule) =>
      rule.approval === undefined ? rule : { ...rule, approval: { ...rule.approval, ...terms } },
    ),
  };
}

/** Resolves when the client has been told that its statement is held. @returns the request */
export async function held(client: RawClient): Promise<string> {
  await client.until((received) => received.some(({ type }) => type === 'N'));
  return requestIn(noticeOf(client));
}

export function noticeOf(client: RawClient): Record<string, string> {
  return report(client.received.find(({ type }) => type === 'N')?.body ?? Buffer.alloc(0));
}

export function requestIn(fields: Record<string, string>): string {
  return /request ([0-9a-z]{12})/.exec(`${fields['M']} ${fields['D']}`)?.[1] ?? 'none';
}

export const readyAgain =
  (count: number) =>
  (received: readonly Received[]): boolean =>
    received.filter(({ type }) => type === 'Z').length >= count;
