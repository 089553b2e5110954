/**
 * Test bench of the engine: a loopback port that plays CLI and tunnel (it answers SSLRequest with
 * N and hands the rest on), the engine under a policy that the test scripts, and a real server.
 */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createCancelRegistry } from '../../../../src/connectors/postgres/gateway/connector.ts';
import { StatementMemory } from '../../../../src/connectors/postgres/gateway/statements/statement-memory.ts';
import type { StatementPace } from '../../../../src/connectors/postgres/gateway/statements/statement-pace.ts';
import type {
  CatalogSource,
  PostgresTarget,
  StatementApprovals,
} from '../../../../src/connectors/postgres/gateway/types.ts';
import { CollectedMessages } from '../../../../src/connectors/postgres/gateway/wire/collected-messages.ts';
import { LargeRows } from '../../../../src/connectors/postgres/gateway/wire/large-rows.ts';
import { servePostgresStream } from '../../../../src/connectors/postgres/gateway/wire/serve-postgres-stream.ts';
import type {
  OutputColumn,
  ProtocolEffect,
  RowCountSource,
} from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import type {
  AllowedStatement,
  RowThreshold,
  SqlRefusal,
  StatementContext,
  StatementPolicy,
  Verdict,
} from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { HoopError } from '../../../../src/errors.ts';
import { StreamAudit } from '../../../../src/gateway/audit/stream-audit.ts';
import type { StreamEnd, WatchWork } from '../../../../src/gateway/connector.ts';
import type { Budget } from '../../../../src/gateway/index/day-budget.ts';
import type { Owner } from '../../../../src/owner-turns.ts';
import type { Grant, MaskKind } from '../../../../src/policy/types.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import type { EvidenceLine } from '../../../../src/recording/verify/evidence-lines.ts';
import { Secret } from '../../../../src/secret.ts';
import { auditSink } from '../../../gateway/audit-sink.ts';
import { emptyCatalog } from '../policy/empty-catalog.ts';

const RULE = { id: 'test/rule', file: 'policies/test.yaml', line: 7 };

export interface ScriptedStatement {
  /** One per output column; `derived` in front: a computed one. */
  readonly masks?: readonly (MaskKind | `derived:${MaskKind}` | 'derived' | undefined)[];
  readonly outputs?: readonly OutputColumn[];
  readonly effect?: Partial<ProtocolEffect>;
  readonly redactErrors?: boolean;
  readonly deny?: Partial<SqlRefusal>;
  readonly needsPlace?: boolean;
  /** Of its rows, and how they are counted. */
  readonly rowThresholds?: readonly RowThreshold[];
  readonly rowCount?: RowCountSource;
  readonly verb?: string;
  /** Where it stands in the text; default: it is all of it. */
  readonly range?: readonly [start: number, end: number];
}

/** What the script says of a text; undefined = allowed, and nothing is known of it. */
export type Script = (
  text: string,
  context: StatementContext,
) => ScriptedStatement | readonly ScriptedStatement[] | undefined | Promise<ScriptedStatement>;

export function scriptedPolicy(script: Script): StatementPolicy {
  return {
    async decide(text, context, grant): Promise<Verdict> {
      if (grant.passthrough) return { effect: 'allow', statements: [] };
      const said = await script(text, context);
      const all: readonly ScriptedStatement[] = Array.isArray(said) ? said : [said ?? {}];
      for (const [statement, one] of all.entries()) {
        if (one.needsPlace && context.searchPath === undefined) {
          return refuse({ message: 'place unknown' }, statement);
        }
        if (one.deny !== undefined) return refuse(one.deny, statement);
      }
      if (text.trim() === '') return { effect: 'allow', statements: [] };
      return {
        effect: 'allow',
        statements: all.map((one) => allowed(text, one, grant)),
      };
    },
  };
}

function refuse(refusal: Partial<SqlRefusal>, statement: number): Verdict {
  return {
    effect: 'refuse',
    statement,
    analysis: [],
    refusal: {
      code: 'HOOP_DENIED',
      sqlState: '42501',
      message: 'statement not allowed',
      detail: 'Rule test/rule (policies/test.yaml:7) at commit c0ffee.',
      hint: 'Ask the test.',
      position: undefined,
      rule: RULE,
      ...refusal,
    },
  };
}

function allowed(text: string, one: ScriptedStatement, grant: Grant): AllowedStatement {
  const outputs = one.masks?.map((mask, index): OutputColumn => {
    return {
      name: `c${index}`,
      kind: mask?.startsWith('derived') ? 'derived' : 'identity',
      sources: [],
      typeOid: undefined,
    };
  });
  return {
    analysis: {
      verb: one.verb ?? text.trim().split(/\s/)[0]?.toLowerCase() ?? '',
      verbs: [text.trim().split(/\s/)[0]?.toLowerCase() ?? ''],
      reads: [],
      writes: [],
      columnsRead: [],
      columnsComputed: [],
      columnsWritten: [],
      functions: [],
      qualified: undefined,
      serverAccess: [],
      outputs: one.outputs ?? outputs,
      opaque: [],
      ...(one.rowCount === undefined ? {} : { rowCount: one.rowCount }),
      protocol: { runsUserCode: false, changesCatalog: false, ...one.effect },
      start: one.range?.[0] ?? 0,
      end: one.range?.[1] ?? Buffer.byteLength(text),
    },
    rules: [RULE],
    ...(one.rowThresholds === undefined ? {} : { rowThresholds: one.rowThresholds }),
    masks: one.masks?.map((mask) => {
      if (mask === undefined || mask === 'derived') return undefined;
      // The part after `derived:` is one of the kinds, by the type above.
      const kind = mask.replace('derived:', '') as MaskKind;
      return { mask: kind, columns: [], rule: RULE };
    }),
    detectors: grant.detectors,
    redactErrors: one.redactErrors ?? false,
  };
}

export function testGrant(changes: Partial<Grant> = {}): Grant {
  return {
    commit: 'c0ffee',
    generation: 'g1',
    target: 'test-db',
    rules: [],
    masks: [],
    detectors: [],
    limits: {
      maxTimeSeconds: 3600,
      idleTimeSeconds: 600,
      maxConnections: 10,
      maxRows: undefined,
      lookups: 100,
    },
    requireReason: false,
    passthrough: false,
    recording: 'full',
    ...changes,
  };
}

const noLookups: Budget = {
  spend: () => Promise.reject(new Error('nothing is looked up in this test')),
};

/** Of all benches: its thread ends when nothing has come for a while, and keeps nobody waiting. */
const largeRows = new LargeRows();

const noChangedRows: Budget = {
  spend: () => Promise.reject(new Error('no day limits changed rows in this test')),
};

const noApprovals: StatementApprovals = {
  ask: () => {
    throw new HoopError('HOOP_LIMIT', 'nobody approves anything in this test');
  },
  bindingOf: () => '',
  viewOf: () => [],
};

export interface BenchOptions {
  readonly target: PostgresTarget;
  readonly script?: Script;
  readonly policy?: StatementPolicy;
  readonly catalog?: CatalogSource;
  readonly approvals?: StatementApprovals;
  readonly wholeMessages?: 'all' | 'unless shown';
  readonly lookups?: Budget;
  readonly changedRows?: Budget;
  readonly grant?: () => Grant;
  readonly pace?: StatementPace;
  readonly largeRows?: Pick<LargeRows, 'rewrite'>;
  readonly collected?: Pick<CollectedMessages, 'collector'>;
  readonly statementMemory?: StatementMemory;
  /** Absent: each stream is somebody else's. */
  readonly owner?: Owner;
  /** Splits what goes to the engine into single bytes. */
  readonly byteAtATime?: boolean;
  readonly startupWithinMs?: number;
  readonly closeWithinMs?: number;
  readonly clientLeft?: AbortSignal;
  readonly countWithinMs?: number;
  readonly watchWork?: WatchWork;
  /** Throws: the record cannot be written. */
  readonly onRecorded?: () => void;
  readonly onEvent?: (event: RecordingEvent) => void;
}

export interface Bench extends AsyncDisposable {
  readonly port: number;
  readonly events: RecordingEvent[];
  readonly evidence: EvidenceLine[];
  readonly summaries: StreamEnd[];
  readonly failures: unknown[];
  /** Ends the session, as expiry and revocation do. */
  readonly session: AbortController;
  /** Resolves when every stream so far has ended. */
  idle(): Promise<void>;
}

export async function startBench(options: BenchOptions): Promise<Bench> {
  const events: RecordingEvent[] = [];
  const evidence: EvidenceLine[] = [];
  const summaries: StreamEnd[] = [];
  const failures: unknown[] = [];
  const session = new AbortController();
  const cancelKeys = createCancelRegistry();
  const running = new Set<Promise<void>>();
  let streams = 0;
  const catalog = emptyCatalog();
  const grant = testGrant();

  const serve = async (socket: Socket): Promise<void> => {
    streams += 1;
    const client = await withoutSslRequest(socket, options.byteAtATime ?? false);
    const summary = await servePostgresStream({
      client,
      stream: streams,
      target: options.target,
      principal: {
        kind: 'person',
        issuer: 'https://idp.example',
        sub: 'alice',
        name: 'Alice',
        email: undefined,
        groups: [],
        roles: [],
      },
      grant: options.grant ?? (() => grant),
      policy: options.policy ?? scriptedPolicy(options.script ?? (() => undefined)),
      catalog: options.catalog ?? {
        current: () => Promise.resolve(catalog),
        refresh: () => Promise.resolve(catalog),
        lookAnew: () => Promise.resolve(catalog),
      },
      approvals: options.approvals ?? noApprovals,
      ...(options.wholeMessages ? { wholeMessages: options.wholeMessages } : {}),
      lookups: options.lookups ?? noLookups,
      changedRows: options.changedRows ?? noChangedRows,
      cancelKeys,
      audit: new StreamAudit(streams, options.grant ?? (() => grant), {
        ...auditSink(),
        event: (event) => {
          options.onEvent?.(event);
          events.push(event);
        },
        evidence: (line) => evidence.push(line),
        record: {
          whenHeld: () => undefined,
          write: () => options.onRecorded?.(),
          whenWritten: (forward) =>
            setImmediate(() => {
              try {
                options.onRecorded?.();
                forward();
              } catch (error) {
                // As a session does it: what cannot be recorded ends it.
                failures.push(error);
                session.abort(error);
              }
            }),
        },
      }),
      maskKey: new Secret(new Uint8Array(32).fill(7)),
      largeRows: options.largeRows ?? largeRows,
      collected: options.collected ?? new CollectedMessages(64 * 1024 * 1024),
      statementMemory: options.statementMemory ?? new StatementMemory(),
      ...(options.owner === undefined ? {} : { owner: options.owner }),
      ...(options.startupWithinMs === undefined
        ? {}
        : { startupWithinMs: options.startupWithinMs }),
      ...(options.clientLeft === undefined ? {} : { clientLeft: options.clientLeft }),
      ...(options.closeWithinMs === undefined ? {} : { closeWithinMs: options.closeWithinMs }),
      ...(options.countWithinMs === undefined ? {} : { countWithinMs: options.countWithinMs }),
      ...(options.pace === undefined ? {} : { pace: options.pace }),
      ...(options.watchWork === undefined ? {} : { watchWork: options.watchWork }),
      signal: session.signal,
    });
    summaries.push(summary);
  };

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.setNoDelay(true);
    const one = serve(socket).catch((error: unknown) => {
      failures.push(error);
      socket.destroy();
    });
    running.add(one);
    void one.finally(() => running.delete(one));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    events,
    evidence,
    summaries,
    failures,
    session,
    idle: async () => {
      while (running.size > 0) await Promise.all(running);
    },
    async [Symbol.asyncDispose]() {
      session.abort();
      server.close();
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** What the CLI does before it opens a stream. */
async function withoutSslRequest(socket: Socket, byteAtATime: boolean): Promise<Duplex> {
  const first = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.pause();
  if (first.length === 8 && first.readUInt32BE(4) === 80877103) {
    socket.write('N');
  } else {
    socket.unshift(first);
  }
  return byteAtATime ? bytewise(socket) : socket;
}

function bytewise(socket: Socket): Duplex {
  const slow = new Duplex({
    allowHalfOpen: true,
    read: () => socket.resume(),
    write: (chunk, encoding, done) => socket.write(chunk, encoding, done),
    final: (done) => socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    for (const byte of chunk) slow.push(Uint8Array.of(byte));
  });
  socket.on('end', () => slow.push(null));
  socket.on('close', () => slow.destroy());
  socket.on('error', () => slow.destroy());
  return slow;
}
