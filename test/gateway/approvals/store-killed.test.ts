/**
 * The store's server is killed while two gateways vote and use approvals: what anybody was told is there
 * when it is back, and what nobody was told has happened once or not at all.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { ApprovalStore } from '../../../src/gateway/approvals/approval-store.ts';
import { Approvals } from '../../../src/gateway/approvals/approvals.ts';
import { SealedJson } from '../../../src/gateway/approvals/sealed-json.ts';
import { PostgresStore } from '../../../src/gateway/store/postgres-store.ts';
import { change, type Store, sql, text } from '../../../src/gateway/store/store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { Secret } from '../../../src/secret.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { waitFor } from '../../wait-for.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';
import { SERVERS } from '../store/test-stores.ts';

const REQUESTS = 60;
/** Both have to, and each of them says it at both gateways. */
const VOTERS = ['ada', 'bob'];
/** In the transaction of a use: as what it gives. */
const GIVE = sql('INSERT INTO spent (digest, expires_ms) VALUES ($digest, 0)');
const GIVEN = sql("SELECT digest FROM spent WHERE digest LIKE 'given %'");
const STATES = sql('SELECT id, state FROM approvals');
const VOTES = sql('SELECT approval, sub FROM approval_votes');

function person(sub: string, groups: readonly string[] = []): Principal {
  const issuer = 'https://idp.example';
  const name = `${sub}@example.org`;
  return { kind: 'person', issuer, sub, name, email: undefined, groups, roles: [] };
}

/** One that has opened the store by itself. */
class Gateway implements AsyncDisposable {
  readonly name: string;
  readonly store: Store;
  readonly approvals: Approvals;

  private constructor(name: string, store: Store, approvals: Approvals) {
    this.name = name;
    this.store = store;
    this.approvals = approvals;
  }

  static async open(name: string, server: EmbeddedPostgres): Promise<Gateway> {
    const { host, port, user, password } = server;
    const connection = { host, port, user, password, database: 'postgres' };
    const { log } = collectLog();
    // What fails, fails because of the kill.
    const store = await PostgresStore.open({ connection, log, timeoutMs: 300_000 });
    const approvals = await Approvals.open({
      ...{ events: NO_EVENTS, node: name, log, clock: Date.now },
      ...{ isAgent: () => false, isBlocked: () => false },
      store: new ApprovalStore(store, new SealedJson(new Secret(new Uint8Array(32)))),
    });
    await approvals.handle('statement', { needs: ({ needs }) => needs });
    return new Gateway(name, store, approvals);
  }

  async ask(binding: string): Promise<string> {
    const { id } = await this.approvals.create({
      ...{ kind: 'statement', target: 'prod-db', reason: undefined, session: 's', binding },
      ...{ diesWithConnection: false, waitsSeconds: 3600, usableSeconds: 3600 },
      ...{ policyCommit: 'c', details: {}, requester: person(`asks ${binding}`) },
      needs: [{ rule: 'p/r', groups: ['dba'], count: VOTERS.length }],
    });
    return id;
  }

  async vote(id: string, sub: string): Promise<void> {
    await this.approvals.decide(person(sub, ['dba']), id, { decision: 'approve' });
  }

  async use(id: string): Promise<boolean> {
    const { name } = this;
    const used = await this.approvals.use(id, function* () {
      yield* change(GIVE, { digest: `given ${id} ${name}` });
      return () => undefined;
    });
    return used !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.approvals[Symbol.dispose]();
    await this.store[Symbol.asyncDispose]();
  }
}

/** What people were told is done. */
class Told {
  /** `request voter`. */
  readonly votes: string[] = [];
  readonly uses: string[] = [];
  /** Nobody knows of these. */
  unknown = 0;
  readonly #onAnswer: () => void;

  /** @param onAnswer called for each of two votes of each voter and two uses of each request */
  constructor(onAnswer: () => void) {
    this.#onAnswer = onAnswer;
  }

  /** Everybody votes at both, and both use it, all at once. */
  async work(gateways: readonly Gateway[], ids: readonly string[]): Promise<void> {
    const each = gateways.flatMap((gateway) => ids.map((id) => ({ gateway, id })));
    await Promise.all(
      each.map(async ({ gateway, id }) => {
        const votes = VOTERS.map(async (sub) => {
          await gateway.vote(id, sub);
          this.votes.push(`${id} ${sub}`);
        });
        await Promise.all(votes.map((vote) => this.#unless(vote)));
        const used = gateway.use(id).then((isUsed) => isUsed && this.uses.push(id));
        await this.#unless(used);
      }),
    );
  }

  async #unless(done: Promise<unknown>): Promise<void> {
    await done.catch((error: { code?: string }) => {
      // Somebody was sooner: at the other gateway, or before the server was killed.
      if (error.code === 'HOOP_APPROVAL_VOTED' || error.code === 'HOOP_APPROVAL_ENDED') return;
      expect(error).toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
      this.unknown += 1;
    });
    this.#onAnswer();
  }
}

describe.each(SERVERS)('with a store in %s that is killed', (native) => {
  let directory: string;
  let server: EmbeddedPostgres;
  let gateways: Gateway[] = [];

  async function start(): Promise<void> {
    // Data that stays, so with fsync.
    const version = native === 'postgres' ? {} : { native };
    server = await startTestPostgres({ ...version, dataDirectory: directory });
  }

  async function open(): Promise<void> {
    gateways = [await Gateway.open('one', server), await Gateway.open('two', server)];
  }

  async function close(): Promise<void> {
    for (const gateway of gateways.splice(0)) await gateway[Symbol.asyncDispose]();
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hoop-killed-'));
    await start();
    await open();
  });
  afterEach(async () => {
    await close();
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  /** As the store has it. */
  async function kept() {
    const [{ store }] = gateways as [Gateway];
    const votes = (await store.all(VOTES)).map((row) => `${row['approval']} ${row['sub']}`);
    const given = (await store.all(GIVEN)).map((row) => text(row['digest']).split(' ')[1] ?? '');
    const states = (await store.all(STATES)).map((row) => [text(row['id']), text(row['state'])]);
    return { votes, given, states: new Map(states.map(([id = '', state]) => [id, state])) };
  }

  test.each([40, 180, 300])(
    'after %i of 360 answers, nothing that was told is lost, nothing is used twice',
    async (after) => {
      const [first] = gateways as [Gateway];
      const ids: string[] = [];
      for (let at = 0; at < REQUESTS; at += 1) ids.push(await first.ask(String(at)));
      const killed = Promise.withResolvers<void>();
      let answers = 0;
      const told = new Told(() => {
        answers += 1;
        if (answers !== after) return;
        // Others are under way.
        process.kill(server.processId, 'SIGKILL');
        killed.resolve();
      });
      await Promise.all([told.work(gateways, ids), killed.promise]);
      expect(told.unknown).toBeGreaterThan(0);
      await close();
      gateways = [];
      await server[Symbol.asyncDispose]();
      // Its processes find out by and by that it is dead, and one that still runs keeps the next out.
      await waitFor(start);
      await open();

      const before = await kept();
      expect(before.votes).toEqual(expect.arrayContaining(told.votes));
      expect(new Set(before.votes).size).toBe(before.votes.length);
      expect(before.given).toEqual(expect.arrayContaining(told.uses));
      for (const id of ids) {
        const votes = before.votes.filter((vote) => vote.startsWith(`${id} `)).length;
        const isDecided = votes === VOTERS.length;
        const isGiven = before.given.includes(id);
        const state = isDecided ? 'approved' : 'waiting';
        expect(before.states.get(id)).toBe(isGiven ? 'used' : state);
        if (isGiven) expect(isDecided).toBe(true);
      }

      // Everybody tries again what they do not know.
      const again = new Told(() => undefined);
      await again.work(gateways, ids);
      await again.work(gateways, ids);
      expect(again.unknown).toBe(0);
      const end = await kept();
      expect(end.votes.toSorted()).toEqual(
        ids.flatMap((id) => VOTERS.map((sub) => `${id} ${sub}`)).sort(),
      );
      expect(end.given.toSorted()).toEqual(ids.toSorted());
      const uses = [...told.uses, ...again.uses];
      expect(new Set(uses).size).toBe(uses.length);
      // What was used and told to nobody stays used: nobody is told of it later.
      const untold = before.given.filter((id) => !told.uses.includes(id));
      expect([...uses, ...untold].toSorted()).toEqual(ids.toSorted());
    },
  );
});
