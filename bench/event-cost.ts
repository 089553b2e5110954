/**
 * What audit events cost a gateway in processor time, apart from the rows that they come with:
 * `node bench/event-cost.ts`. The same sessions with events and without, in turn, in both stores; of a
 * session its begin, its end and its manifest, of statements what is allowed and what is refused.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/demo/embedded-postgres.ts';
import { createLog } from '../src/gateway/base/log.ts';
import { AuditEvents } from '../src/gateway/events/audit-events.ts';
import { IndexStore } from '../src/gateway/index/index-store.ts';
import { SessionIndex } from '../src/gateway/index/session-index.ts';
import { PostgresStore } from '../src/gateway/store/postgres-store.ts';
import type { Store } from '../src/gateway/store/store.ts';
import { NO_EVENTS } from '../test/gateway/no-events.ts';

const ROUNDS = 5;
const SESSIONS = 200;
const ALLOWED = 200;
/** Each of them is told: what comes sooner than that is counted. */
const REFUSED = 20;
const VERBS = ['select'];
const RELATIONS = ['app.orders'];
const NONE: readonly string[] = [];
const RULES = [{ id: 'engineers/read', file: 'policies/engineers.yaml', line: 7 }];
const PARTS = ['session', 'allowed', 'refused'] as const;

/** Microseconds of this process, for one of each. */
type Cost = Record<(typeof PARTS)[number], number>;

const log = createLog({ stream: process.stderr, json: false, level: 'warn' });
const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-events-'));
let sessions = 0;
try {
  using sqlite = IndexStore.open(join(directory, 'index.sqlite'));
  await compare('SQLite', sqlite.store);
  await using server = await startEmbeddedPostgres();
  const { host, port, user, password } = server;
  const connection = { host, port, user, password, database: 'postgres' };
  await using postgres = await PostgresStore.open({ connection, log });
  await compare('PostgreSQL', postgres);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function compare(name: string, store: Store): Promise<void> {
  const owner = { id: 'bench', term: 1 };
  const keep = { days: 90, events: 1_000_000 };
  const clock = Date.now;
  await using events = await AuditEvents.open({ store, gateway: 'bench', owner, keep, clock, log });
  const onFault = (error: unknown): never => {
    throw error;
  };
  const indexOf = (of: typeof NO_EVENTS) =>
    new SessionIndex(store, owner, clock, onFault, () => false, of);
  const [told, silent] = [indexOf(events), indexOf(NO_EVENTS)];
  // Until what matters is compiled.
  for (const index of [told, silent]) await round(index);
  const costs: { readonly told: Cost; readonly silent: Cost }[] = [];
  for (let at = 0; at < ROUNDS; at += 1) {
    costs.push({ told: await round(told), silent: await round(silent) });
  }
  for (const part of PARTS) {
    const of = (which: 'told' | 'silent') => median(costs.map((cost) => cost[which][part]));
    const more = median(costs.map((cost) => cost.told[part] - cost.silent[part]));
    process.stdout.write(
      `${name.padEnd(12)} ${part.padEnd(8)} ${text(of('silent'))} us without, ${text(of('told'))} with, ${text(more)} more; load ${text(loadavg()[0] ?? 0)}\n`,
    );
  }
}

async function round(index: SessionIndex): Promise<Cost> {
  const cost: Cost = { session: 0, allowed: 0, refused: 0 };
  for (let session = 0; session < SESSIONS; session += 1) {
    sessions += 1;
    const id = `01890a5d-ac96-774b-bcce-${String(sessions).padStart(12, '0')}`;
    cost.session += await cpuOf(() => index.start(newSession(id)));
    cost.allowed += await cpuOf(() => tell(index, id, 1, ALLOWED, 'allow'));
    cost.refused += await cpuOf(() => tell(index, id, 1 + ALLOWED, REFUSED, 'refuse'));
    cost.session += await cpuOf(async () => {
      const endedMs = Date.now();
      await index.end(id, {
        ...{ endedMs, reason: 'closed', message: undefined, upBytes: 1, downBytes: 1 },
      });
      await index.uploaded(id, { sha256: 'c0ffee', lostBytes: 0 });
    });
  }
  return {
    session: cost.session / SESSIONS,
    allowed: cost.allowed / SESSIONS / ALLOWED,
    refused: cost.refused / SESSIONS / REFUSED,
  };
}

async function tell(
  index: SessionIndex,
  id: string,
  first: number,
  count: number,
  effect: 'allow' | 'refuse',
): Promise<void> {
  for (let statement = first; statement < first + count; statement += 1) {
    const place = { stream: 1, at: statement * 100, statement };
    index.event(id, {
      ...{ ...place, type: 'decision', effect, verbs: VERBS, relations: RELATIONS },
      ...{ columnsMasked: NONE, rules: RULES, message: undefined, policyCommit: 'c0ffee' },
      code: effect === 'refuse' ? 'HOOP_NOT_ALLOWED' : undefined,
    });
    if (effect === 'refuse') continue;
    index.event(id, {
      ...{ ...place, type: 'result', rows: 3, bytes: 120, us: 900, maskedValues: 0 },
      ...{ detected: {}, tag: 'SELECT 3', sqlState: undefined },
    });
  }
  await index.flush();
}

function newSession(id: string): Parameters<SessionIndex['start']>[0] {
  const startedMs = Date.now();
  return {
    ...{ id, target: 'db', kind: 'postgres', family: 'login', recording: 'full', startedMs },
    principal: {
      ...{ kind: 'person', issuer: 'https://idp.example', sub: 'u1', name: 'p1@example.com' },
      ...{ email: undefined, groups: [], roles: [] },
    },
    ...{ run: undefined, parentRun: undefined, program: undefined, reason: 'daily work' },
    ...{ policyCommit: 'c0ffee', clientVersion: '0.1.0', expiresMs: startedMs + 3_600_000 },
  };
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function text(value: number): string {
  return value.toFixed(1);
}
