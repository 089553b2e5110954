/** A second node on the same PostgreSQL store, which lives on while the first is killed, and takes over what that leaves. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { credentialVariables } from '../../src/demo/gateway-files.ts';
import { type HoopService, runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { logInDemo } from '../log-in-demo.ts';
import { type Bench, Connection } from './demo-bench.ts';
import type { KilledStore } from './kill-store.ts';
import { newTold, type Told } from './kill-work.ts';

/** Its role at the target, by which its connections are known there. */
const ROLE = 'kill_neighbour';

/** It is not what the machine is to be busy with. */
const PAUSE_MS = 20;

type Check = (what: string, isTrue: boolean, seen: () => unknown) => void;

interface NodeState {
  readonly id: string;
  readonly term: number;
  readonly state: string;
}

/** One session of this node, which works until it is ended. */
export interface NeighbourWork {
  readonly session: string;
  readonly told: Told;
  /** Rejects when anything was refused or broke. */
  end(): Promise<void>;
}

export class KillNeighbour implements AsyncDisposable {
  readonly #bench: Bench;
  readonly #store: KilledStore;
  readonly #service: HoopService;
  readonly #config: string;
  readonly #home: string;

  private constructor(
    bench: Bench,
    store: KilledStore,
    service: HoopService,
    files: { readonly config: string; readonly home: string },
  ) {
    this.#bench = bench;
    this.#store = store;
    this.#service = service;
    this.#config = files.config;
    this.#home = files.home;
  }

  /** @param admin of the target */
  static async start(bench: Bench, admin: pg.Client, store: KilledStore): Promise<KillNeighbour> {
    const { directory, target, ca, accounts } = bench.demo;
    await admin.query(
      `CREATE ROLE ${ROLE} LOGIN PASSWORD '${target.password}' IN ROLE ${target.user}`,
    );
    const config = join(directory, 'neighbour.yaml');
    const data = join(directory, 'gateway');
    writeFileSync(
      config,
      readFileSync(join(directory, 'gateway.yaml'), 'utf8')
        .replaceAll(`user: ${target.user}`, `user: ${ROLE}`)
        .replace(/^listen: .*$/m, 'listen: 127.0.0.1:0')
        .replace(/^dataDir: .*$/m, `dataDir: ${data}-neighbour\nkeysDir: ${data}/keys`),
    );
    const service = await startHoop(
      ['gateway', 'start', '--config', config, '--json'],
      'listening',
      {
        home: join(directory, 'neighbour-home'),
        logFile: join(directory, 'neighbour.log'),
        variables: credentialVariables({ 'prod-db': target }),
      },
    );
    const home = join(directory, 'homes', 'neighbour');
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const account = accounts.find(({ name }) => name === 'engineer');
    if (account === undefined) throw new RangeError('the demo has no engineer');
    const gateway = String(service.ready['url']);
    const signal = new AbortController().signal;
    await logInDemo({ account, home, gateway, ca, signal });
    return new KillNeighbour(bench, store, service, { config, home });
  }

  async connect(): Promise<Connection> {
    const args = ['connect', 'prod-db', '--json'];
    return new Connection(await startHoop(args, 'listening', { home: this.#home }), []);
  }

  async work(prefix: string): Promise<NeighbourWork> {
    const connection = await this.connect();
    const client = new pg.Client({ connectionString: connection.url });
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined);
    client.on('error', broken.reject);
    await client.connect();
    const told = newTold();
    let isOver = false;
    const loop = async (): Promise<void> => {
      for (let count = 0; !isOver; count += 1) {
        const mark = `${prefix}.${count}.`;
        told.sent.add(mark);
        const insert = `INSERT INTO public.kill_lines VALUES ('${mark}')`;
        await Promise.race([client.query(insert), broken.promise]);
        told.done.add(mark);
        await sleep(PAUSE_MS);
      }
    };
    const working = loop();
    working.catch(() => undefined);
    return {
      session: connection.session,
      told,
      end: async () => {
        isOver = true;
        await working;
        await client.end();
        await connection.close();
      },
    };
  }

  /** What another node of the store says is the first one's, and the row of that. */
  async #first(): Promise<NodeState> {
    const id = readFileSync(join(this.#bench.demo.directory, 'gateway', 'node-id'), 'utf8').trim();
    const [rows = []] = await this.#store.read(
      '',
      `SELECT term, state FROM nodes WHERE id = '${id}'`,
    );
    return { id, term: Number(rows[0]?.['term']), state: String(rows[0]?.['state']) };
  }

  /** The first node is dead, and its lease is over. */
  async takeOver(check: Check, live: Pick<NeighbourWork, 'session'>): Promise<void> {
    const before = await this.#first();
    await this.#store.read('', `UPDATE nodes SET lease_until_ms = 1 WHERE id = '${before.id}'`);
    const took = await runHoop(['gateway', 'takeover', before.id, '--config', this.#config], {
      home: join(this.#bench.demo.directory, 'neighbour-home'),
    });
    check('takeover succeeds', took.exitCode === 0, () => took.output);
    const after = await this.#first();
    check(
      'takeover ends the term',
      after.state === 'taken over' && after.term === before.term + 1,
      () => JSON.stringify({ before, after }),
    );
    const [sessions = [], held = [], moved = []] = await this.#store.read(
      '',
      `SELECT id FROM sessions WHERE node = '${before.id}' AND state = 'live'`,
      `SELECT id FROM approvals WHERE node = '${before.id}' AND state IN ('waiting', 'approved')`,
      `SELECT id FROM approvals WHERE dies_with_connection = 1 AND state IN ('waiting', 'approved')`,
    );
    check('no session is live after takeover', sessions.length === 0, () =>
      JSON.stringify(sessions),
    );
    check('no request waits at the dead node', held.length === 0, () => JSON.stringify(held));
    check('nothing held is waited for', moved.length === 0, () => JSON.stringify(moved));
    await this.stillLives(check, live);
  }

  async stillLives(check: Check, { session }: Pick<NeighbourWork, 'session'>): Promise<void> {
    const [rows = []] = await this.#store.read(
      '',
      `SELECT state, end_reason FROM sessions WHERE id = '${session}'`,
    );
    check(`${session} of the other node lives`, rows[0]?.['state'] === 'live', () =>
      JSON.stringify(rows),
    );
  }

  /** Its node is there, so both sides have agreed on all of it, at once. */
  async ended({ session, told }: NeighbourWork, check: Check, ran: readonly string[]) {
    const lost = [...told.sent].filter((mark) => !told.done.has(mark) || !ran.includes(mark));
    check('nothing of the other node’s session is lost', lost.length === 0, () => lost);
    const hoop = (...args: string[]) => runHoop(args, { home: this.#home });
    const verified = await hoop('sessions', 'verify', session);
    check(`${session} verifies`, verified.exitCode === 0, () => verified.output);
    const { stdout } = await hoop('sessions', 'show', session, '--json');
    const shown = JSON.parse(stdout).session as Readonly<Record<string, unknown>>;
    check(
      `${session} has ended as asked, with all of its statements`,
      shown['state'] === 'uploaded' &&
        shown['endReason'] === 'closed' &&
        shown['statements'] === told.sent.size,
      () => stdout,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
  }
}
