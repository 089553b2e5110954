/**
 * What the index costs and answers: a million statements of 5,000 sessions of 200 people, on 500 relations,
 * within 90 days, written as a gateway writes them, in both stores. Then who touched a column within a week.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/demo/embedded-postgres.ts';
import type { Watchdog } from '../src/demo/watchdog.ts';
import { createLog } from '../src/gateway/base/log.ts';
import { AuditEvents } from '../src/gateway/events/audit-events.ts';
import { IndexStore } from '../src/gateway/index/index-store.ts';
import { SessionIndex } from '../src/gateway/index/session-index.ts';
import { SearchIndex, type SearchScope } from '../src/gateway/search/search-index.ts';
import { PostgresStore } from '../src/gateway/store/postgres-store.ts';
import type { Store } from '../src/gateway/store/store.ts';
import type { StatementFacts } from '../src/recording/formats/types.ts';
import type { Notes } from './memory.ts';

const STATEMENTS = 1_000_000;
const SESSIONS = 5000;
const PEOPLE = 200;
const RELATIONS = 500;
const COLUMNS = 8;
/** Statements of programs that differ in more than constants. */
const SHAPES = 3000;
const DAYS = 90;
const DAY_MS = 86_400_000;
const BEGIN_MS = Date.UTC(2026, 3, 1);
const ASKED = 25;
const EVERYBODY: SearchScope = {
  ...{ owner: undefined, run: undefined, user: undefined, target: undefined, agent: undefined },
  program: undefined,
  ...{ touches: undefined, detected: undefined, seenClear: false, denied: false },
  ...{ sinceMs: undefined, untilMs: undefined },
};

export async function indexFigures(
  watchdog: Watchdog,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Notes> {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-index-'));
  try {
    using sqlite = IndexStore.open(join(directory, 'index.sqlite'));
    const inSqlite = await figuresOf('SQLite', sqlite.store, say);
    await using server = await startEmbeddedPostgres({ watchdog, signal });
    const { host, port, user, password } = server;
    const connection = { host, port, user, password, database: 'postgres' };
    const log = createLog({ stream: process.stderr, json: false, level: 'warn' });
    await using postgres = await PostgresStore.open({ connection, log });
    return { ...inSqlite, ...(await figuresOf('PostgreSQL', postgres, say)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function figuresOf(name: string, store: Store, say: (text: string) => void): Promise<Notes> {
  let nowMs = BEGIN_MS;
  const onFault = (error: unknown): never => {
    throw error;
  };
  const owner = { id: 'bench', term: 1 };
  const clock = () => nowMs;
  const log = createLog({ stream: process.stderr, json: false });
  const keep = { days: 90, events: 1_000_000 };
  await using events = await AuditEvents.open({ store, gateway: 'bench', owner, keep, clock, log });
  const index = new SessionIndex(store, owner, clock, onFault, () => false, events);
  const random = seeded(7);
  const shapes = Array.from({ length: SHAPES }, (_, shape) => factsOf(shape, random));
  let sessionUs = 0;
  let statementUs = 0;
  const each = STATEMENTS / SESSIONS;
  for (let session = 0; session < SESSIONS; session += 1) {
    nowMs = BEGIN_MS + Math.floor((session / SESSIONS) * DAYS * DAY_MS);
    const id = sessionId(session);
    sessionUs += await cpuOf(() => index.start(newSession(id, nowMs, random)));
    statementUs += await cpuOf(async () => {
      const told = new Set<number>();
      for (let statement = 1; statement <= each; statement += 1) {
        nowMs += 1000;
        const shape = skewed(SHAPES, random);
        // As a stream does it: facts once, and a place for them.
        const facts = shape % 256;
        const known = shapes[shape];
        if (known === undefined) throw new RangeError('no such shape');
        if (!told.has(shape)) {
          index.event(id, { ...known.facts, type: 'facts', stream: 1, facts });
          for (const other of told) if (other % 256 === facts) told.delete(other);
          told.add(shape);
        }
        tell(index, id, statement, { ...known, place: facts }, random);
      }
      await index.flush();
    });
    const end = {
      endedMs: nowMs,
      reason: 'closed',
      message: undefined,
      upBytes: 1,
      downBytes: 1,
    } as const;
    sessionUs += await cpuOf(() => index.end(id, end));
    if (session % 1000 === 999)
      say(`index: ${name}, ${((session + 1) * each) / 1000} thousand statements`);
  }
  const notes = {
    [`${name}: CPU per statement (µs)`]: round(statementUs / STATEMENTS),
    [`${name}: CPU per session, begin and end (µs)`]: round(sessionUs / SESSIONS),
    ...(await answers(name, new SearchIndex(store))),
  };
  for (const [what, value] of Object.entries(notes)) say(`${what}: ${value}`);
  return notes;
}

async function answers(name: string, search: SearchIndex): Promise<Notes> {
  const week = { sinceMs: BEGIN_MS + 60 * DAY_MS, untilMs: BEGIN_MS + 67 * DAY_MS };
  const may = { sinceMs: BEGIN_MS + 30 * DAY_MS, untilMs: BEGIN_MS + 61 * DAY_MS };
  const column = (relation: number): string => `app.r${relation}.c1`;
  const questions: Readonly<Record<string, (time: number) => SearchScope>> = {
    'who touched a column in a week': (time) => ({
      ...EVERYBODY,
      ...week,
      touches: column(time * 3),
    }),
    'who was shown it in clear': (time) => ({
      ...{ ...EVERYBODY, ...week, touches: column(time * 3), seenClear: true },
    }),
    'who was shown cards in clear in May': () => ({
      ...{ ...EVERYBODY, ...may, detected: 'card', seenClear: true },
    }),
    'the same of one agent': (time) => ({
      ...{ ...EVERYBODY, ...may, detected: 'card', seenClear: true, agent: `agent-${time % 5}` },
    }),
  };
  const notes: Record<string, number> = {};
  for (const [question, scopeOf] of Object.entries(questions)) {
    const times: number[] = [];
    let sessions = 0;
    for (let time = 0; time < ASKED; time += 1) {
      const from = performance.now();
      sessions = Math.max(
        sessions,
        (await search.sessions(scopeOf(time), undefined, SESSIONS)).length,
      );
      times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    notes[`${name}: ${question}, p50 (ms)`] = round(times[Math.floor(ASKED / 2)] ?? 0);
    notes[`${name}: ${question}, worst (ms)`] = round(times.at(-1) ?? 0);
    notes[`${name}: ${question}, most sessions found`] = sessions;
  }
  return notes;
}

interface Shape {
  readonly facts: StatementFacts;
  readonly relation: string;
  readonly rules: readonly { readonly id: string; readonly file: string; readonly line: number }[];
  readonly verbs: readonly string[];
  readonly relations: readonly string[];
  readonly columnsMasked: readonly string[];
}

/** Of each ten statements seven read one relation, and most relations are rarely used. */
function factsOf(shape: number, random: () => number): Shape {
  const relation = `app.r${skewed(RELATIONS, random)}`;
  const columns = Array.from({ length: COLUMNS }, (_, column) => `${relation}.c${column}`);
  const some = columns.filter(() => random() < 0.5);
  const writes = random() < 0.3;
  return {
    relation,
    facts: {
      asked: [],
      clear: writes ? [] : some,
      fingerprint: `shape-${shape}`.padEnd(16, '_'),
      looked: ['card'],
      unknown: [],
      used: columns.slice(0, 1),
      written: writes ? some : [],
      writes: writes ? [relation] : [],
    },
    rules: [{ id: `engineers/rule-${shape % 5}`, file: 'policies/engineers.yaml', line: 7 }],
    verbs: [writes ? 'update' : 'select'],
    relations: [relation],
    columnsMasked: [],
  };
}

function tell(
  index: SessionIndex,
  id: string,
  statement: number,
  { place, rules, verbs, relations, columnsMasked }: Shape & { readonly place: number },
  random: () => number,
): void {
  const common = { stream: 1, at: statement * 100, statement };
  index.event(id, {
    ...{
      ...common,
      type: 'decision',
      effect: 'allow',
      facts: place,
      verbs,
      relations,
      columnsMasked,
    },
    ...{ rules, code: undefined, message: undefined, policyCommit: 'c0ffee' },
  });
  const seen = random() < 0.02 ? { card: 1 + Math.floor(random() * 5) } : {};
  index.event(id, {
    ...{
      ...common,
      type: 'result',
      rows: 3,
      bytes: 120,
      us: 900,
      maskedValues: 0,
      detected: {},
      seen,
    },
    ...{ tag: 'SELECT 3', sqlState: undefined },
  });
}

function newSession(id: string, startedMs: number, random: () => number) {
  const person = skewed(PEOPLE, random);
  return {
    id,
    ...{
      target: `db-${person % 20}`,
      kind: 'postgres',
      family: `login-${person}`,
      recording: 'full',
    },
    principal: {
      kind: 'person',
      ...{
        issuer: 'https://idp.example',
        sub: `u${person}`,
        name: `p${person}@example.com`,
      },
      ...{ email: undefined, groups: [], roles: [] },
      ...(person % 4 === 0 ? { agent: `agent-${person % 5}` } : {}),
    },
    ...{ run: undefined, parentRun: undefined, program: undefined, reason: 'daily work' },
    ...{ policyCommit: 'c0ffee', clientVersion: '0.1.0', startedMs, expiresMs: startedMs + DAY_MS },
  } as const;
}

function sessionId(session: number): string {
  return `01890a5d-ac96-774b-bcce-${String(session).padStart(12, '0')}`;
}

/** Small numbers are frequent, as of tables and people at work. */
function skewed(count: number, random: () => number): number {
  return Math.floor(count * random() ** 2.5);
}

/** The same in each run: a linear congruential generator (Numerical Recipes). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Of this process, microseconds. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
