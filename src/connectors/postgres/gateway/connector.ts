/** PostgreSQL as the gateway's sessions see it. */

import { timingSafeEqual } from 'node:crypto';
import { Writable } from 'node:stream';
import type { SessionReply } from '../../../api/sessions.ts';
import { HoopError } from '../../../errors.ts';
import { createLog, errorFields } from '../../../gateway/base/log.ts';
import type {
  CheckServices,
  ConnectorSession,
  GatewayConnector,
  GatewayServices,
  OpenConnector,
  SessionContext,
} from '../../../gateway/connector.ts';
import { DayBudget } from '../../../gateway/index/day-budget.ts';
import { shownHosts } from '../../../gateway/targets/targets.ts';
import { ownerOf } from '../../../owner-turns.ts';
import type { MaskAlert } from '../../../policy/mask-alert.ts';
import { maskedOn } from '../../../policy/masked-columns.ts';
import type { Policy, PolicyTarget } from '../../../policy/policy.ts';
import type { StatementPolicy } from '../policy/facts/types.ts';
import { SqlParser } from '../policy/parse/parser.ts';
import { createStatementPolicy } from '../policy/parse/statement-policy.ts';
import { isDatabase, type PostgresPolicyTarget } from '../policy/target.ts';
import { statementApprovals } from './approvals/statement-approvals.ts';
import { MaskBindings } from './catalog/mask-bindings.ts';
import {
  maskBindingsPath,
  readMaskBindings,
  writeMaskBindings,
} from './catalog/mask-bindings-file.ts';
import { MaskWatch, someGroups, targetsWithMasks } from './catalog/mask-watch.ts';
import { TargetCatalogs } from './catalog/target-catalogs.ts';
import { Estimates } from './counted/estimates.ts';
import { StatementMemory } from './statements/statement-memory.ts';
import { StatementPace } from './statements/statement-pace.ts';
import { changedPostgresTarget } from './target/changed-target.ts';
import { resolvePostgresTarget } from './target/resolve-target.ts';
import { connectTarget } from './target/target-connection.ts';
import type { CancelRegistry, PostgresTarget } from './types.ts';
import { CollectedMessages } from './wire/collected-messages.ts';
import { LargeRows } from './wire/large-rows.ts';
import { servePostgresStream } from './wire/serve-postgres-stream.ts';

const MAX_CANCEL_STREAMS = 16;

export const postgresGateway: GatewayConnector = { open, check, findAlerts: findMaskAlerts };

/** What all sessions share. */
interface Shared {
  readonly services: GatewayServices;
  readonly catalogs: TargetCatalogs;
  readonly estimates: Estimates;
  readonly statements: StatementPolicy;
  readonly lookups: DayBudget;
  readonly changedRows: DayBudget;
  readonly largeRows: LargeRows;
  readonly collected: CollectedMessages;
  readonly statementMemory: StatementMemory;
}

function open(services: GatewayServices): OpenConnector {
  const { policy, kept: store, log, clock } = services;
  const opened = new AsyncDisposableStack();
  const parser = opened.use(SqlParser.create());
  const bindingsPath = maskBindingsPath(services.dataDirectory);
  const bindings = new MaskBindings({
    bindings: readMaskBindings(bindingsPath),
    write: (next) => writeMaskBindings(bindingsPath, next),
    masked: (target) => maskedOn(policy.current()?.policy, target),
    log,
  });
  const catalogs = opened.use(new TargetCatalogs(parser, (target) => bindings.of(target)));
  const maskWatch = opened.use(new MaskWatch({ services, catalogs, log }));
  const shared: Shared = {
    services,
    catalogs,
    estimates: opened.use(new Estimates(log)),
    statements: createStatementPolicy(parser, (fault) =>
      log.error('statement.fault', errorFields(fault)),
    ),
    lookups: new DayBudget('lookups', { store, clock, log }),
    changedRows: new DayBudget('changed_rows', { store, clock, log }),
    largeRows: opened.use(new LargeRows()),
    collected: new CollectedMessages(services.maxMessageBytes),
    statementMemory: new StatementMemory(),
  };
  return {
    policyChanged(next) {
      catalogs.masksChanged();
      bindings.policyChanged();
      maskWatch.policyChanged(next);
    },
    alerts: () => bindings.alerts(),
    async prepare({ target }, principal) {
      const resolved = await resolvePostgresTarget(services, database(target), principal);
      return {
        reply: reply(resolved),
        open: (context) => openSession(shared, resolved, context),
      };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function reply({ name, database: to, user }: PostgresTarget): SessionReply['target'] {
  return { kind: 'postgres', name, database: to, user };
}

function openSession(
  {
    services,
    catalogs,
    estimates,
    statements,
    lookups,
    changedRows,
    largeRows,
    collected,
    statementMemory,
  }: Shared,
  target: PostgresTarget,
  context: SessionContext,
): ConnectorSession {
  const { targets, key: maskKey } = services;
  const { principal } = context;
  const cancelKeys = createCancelRegistry();
  const owner = ownerOf(principal);
  const pace = new StatementPace();
  const catalog = catalogs.source(target);
  const grantEnded = new Set<() => void>();
  const changed = changedPostgresTarget({ targets, principal, target });
  return {
    hosts: target.hosts,
    streamLimits: { cancel: MAX_CANCEL_STREAMS },
    serve: (stream) =>
      servePostgresStream({
        ...stream,
        ...context,
        target,
        onGrantEnded(listener) {
          grantEnded.add(listener);
          return () => grantEnded.delete(listener);
        },
        policy: statements,
        catalog,
        ...(target.hosts.length > 1
          ? { catalogOf: (host) => catalogs.sourceOf(target, host) }
          : {}),
        approvals: statementApprovals({ ...context, estimates, target }),
        wholeMessages: context.run === undefined ? 'unless shown' : 'all',
        lookups,
        changedRows,
        largeRows,
        collected,
        statementMemory,
        pace,
        owner,
        cancelKeys,
        maskKey,
      }),
    policyChanged({ target: now }, ended) {
      if (ended) {
        for (const listener of grantEnded) listener();
      }
      return changed(now);
    },
  };
}

async function check(services: CheckServices, target: PolicyTarget): Promise<string> {
  // Without groups: the credential that everybody gets who has no own.
  const postgres = await resolvePostgresTarget(services, database(target), { groups: [] });
  await using connection = await connectTarget({
    target: { ...postgres, hosts: shownHosts(postgres.hosts) },
    signal: services.signal,
  });
  return `${connection.server}, ${connection.tls ? 'TLS' : 'no TLS'}`;
}

function database(target: PolicyTarget): PostgresPolicyTarget {
  if (!isDatabase(target)) throw new TypeError(`target "${target.name}" is not a database`);
  return target;
}

interface CancelKey {
  readonly secretKey: Uint8Array;
  readonly cancel: (sentBefore: number | undefined) => Promise<void>;
  readonly stream: number;
}

/** The cancel keys of one session: a key of another session is not found here, whatever it is. */
export function createCancelRegistry(): CancelRegistry {
  const keys = new Map<number, CancelKey>();
  return {
    add(processId, secretKey, cancel, stream) {
      keys.set(processId, { secretKey, cancel, stream });
    },
    remove(processId) {
      keys.delete(processId);
    },
    async cancel(processId, secretKey, sentBefore) {
      const key = keys.get(processId);
      if (key === undefined || !isEqual(key.secretKey, secretKey)) return undefined;
      await key.cancel(sentBefore);
      return key.stream;
    },
  };
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

// Whether the masked columns of the policy are there, and what those are called now that are not.

/**
 * Reads what a gateway with this data directory has kept; binds nothing. Of targets that cannot be
 * reached there is nothing to say: their own check does.
 * @throws HOOP_LOCAL_STATE when what was kept cannot be read
 */
async function findMaskAlerts(
  services: CheckServices,
  policy: Policy,
): Promise<readonly MaskAlert[]> {
  const masked = targetsWithMasks(policy);
  if (masked.length === 0) {
    return [];
  }
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const bindings = new MaskBindings({
    bindings: readMaskBindings(maskBindingsPath(services.dataDirectory)),
    write: () => undefined,
    masked: (target) => maskedOn(policy, target),
    // What a gateway would log is in the result.
    log: createLog({ stream: nowhere, json: true }),
  });
  await using parser = SqlParser.create();
  await using catalogs = new TargetCatalogs(parser, (target) => bindings.of(target));
  for (const target of masked) {
    try {
      const resolved = await resolvePostgresTarget(services, target, {
        groups: someGroups(target),
      });
      await catalogs.source(resolved).current();
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
    }
  }
  return bindings.alerts();
}
