/** The sessions under which something is starved, and what must be so afterwards. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { HoopError } from '../../src/errors.ts';
import { inTime } from '../../src/until.ts';
import { type Bench, Connection } from './demo-bench.ts';
import type { Faults } from './faults.ts';

/** Longer than a side may stay without a cut or an answer. */
const REST_MS = 35_000;
const HANGS_MS = 180_000;
const BUSY = 'SELECT repeat($1, 2000) AS text';

export interface StarvedParts {
  readonly bench: Bench;
  readonly gatewayFaults: Faults;
  readonly clientFaults: Faults;
}

/** What ended a session, as the three who are told of it heard it. */
export interface Ended {
  readonly stderr: string;
  readonly status: number | null;
  readonly client: string;
}

export type StarvedCase = (starved: Starved) => Promise<void>;

export class Starved {
  readonly bench: Bench;
  readonly gatewayFaults: Faults;
  readonly clientFaults: Faults;
  /** For whoever reads the output. */
  readonly seen: string[] = [];
  readonly #problems: string[] = [];
  readonly #sessions: LiveWork[] = [];

  constructor({ bench, gatewayFaults, clientFaults }: StarvedParts) {
    this.bench = bench;
    this.gatewayFaults = gatewayFaults;
    this.clientFaults = clientFaults;
  }

  get gatewayProcess(): number {
    return this.bench.demo.gatewayProcess().processId;
  }

  check(what: string, isTrue: boolean, seen: unknown = ''): void {
    if (!isTrue) this.#problems.push(`${what}: ${String(seen)}`);
  }

  /** @returns what is not as it must be */
  async play(play: StarvedCase): Promise<readonly string[]> {
    try {
      await inTime(play(this), HANGS_MS, () => new Error('the case hangs'));
    } catch (error) {
      const detail = error instanceof HoopError ? error.detail : '';
      this.#problems.push(
        `the case failed: ${error instanceof Error ? error.stack : error} ${detail}`,
      );
    }
    this.gatewayFaults.set({});
    this.clientFaults.set({});
    for (const session of this.#sessions) await this.#settle(session);
    return this.#problems;
  }

  /** `hoop connect` with two connections, one of which has a statement under way at any time. */
  async work(...flags: string[]): Promise<LiveWork> {
    const home = this.bench.home('engineer');
    const service = await startHoop(['connect', 'prod-db', '--json', ...flags], 'listening', {
      home,
      variables: this.clientFaults.variables,
    });
    const work = await LiveWork.start(new Connection(service, []));
    this.#sessions.push(work);
    return work;
  }

  /** What was starved has come to itself: everything goes on, and no timer strikes late. */
  async mustGoOn(work: LiveWork): Promise<void> {
    const before = work.statements;
    await sleep(REST_MS);
    this.check(
      'the busy connection goes on',
      work.statements > before,
      work.failed ?? 'stands still',
    );
    this.check('the idle connection goes on', (await work.ask()) === 'one', work.failed);
    this.check('the client goes on', work.isRunning, work.service.log());
  }

  /** As `mustGoOn`, but for what it refuses in words meanwhile. */
  async mustStay(work: LiveWork): Promise<void> {
    await sleep(REST_MS);
    this.seen.push(`the busy connection: ${work.failed ?? 'goes on'}`);
    this.check('the idle connection goes on', (await work.ask()) === 'one', work.failed);
    this.check('the client goes on', work.isRunning, work.service.log());
  }

  /** @param words of what ended it, that the user reads */
  async mustEnd(work: LiveWork, ...words: RegExp[]): Promise<Ended> {
    await work.connection.event('ended');
    const status = await work.close();
    const ended = { status, stderr: work.service.log(), client: (await work.ended) ?? '' };
    for (const word of words) {
      this.check(`stderr has ${word}`, word.test(ended.stderr), ended.stderr);
    }
    this.check('no stack is shown', !/^\s+at /m.test(ended.stderr), ended.stderr);
    this.check('the status is an error', status !== 0 && status !== null, status);
    this.seen.push(`ended with ${status}: ${ended.stderr.trim()} | psql: ${ended.client}`);
    return ended;
  }

  /** Commands of the same person, side by side. @returns their statuses */
  async flood(until: AbortSignal): Promise<Map<number | null, number>> {
    const statuses = new Map<number | null, number>();
    const one = async (args: readonly string[]): Promise<void> => {
      while (!until.aborted) {
        const { exitCode } = await runHoop(args, { home: this.bench.home('engineer') });
        statuses.set(exitCode, (statuses.get(exitCode) ?? 0) + 1);
      }
    };
    const calls = [['whoami'], ['sessions', 'list'], ['whoami'], ['targets']];
    await Promise.all([...calls, ...calls, ...calls].map(one));
    return statuses;
  }

  /** Closed, uploaded, verified; nothing of it is left. */
  async #settle(work: LiveWork): Promise<void> {
    await work.stop();
    process.kill(this.gatewayProcess, 'SIGCONT');
    const status = await work.close();
    // What could not be delivered goes with the next session.
    await this.bench.psql('engineer', 'SELECT 1');
    const { session } = work.connection;
    const verified = await this.bench.hoop('engineer', 'sessions', 'verify', session);
    this.check(
      `the recording verifies after status ${status}`,
      verified.exitCode === 0 || (work.mayBeOneSided && verified.exitCode === 2),
      verified.output,
    );
    const backends = await this.bench.running('repeat($1, 2000)');
    this.check('no backend is left', backends === 0, backends);
  }
}

export class LiveWork {
  readonly connection: Connection;
  /** Done on the busy connection. */
  statements = 0;
  /** Of the first connection that failed. */
  failed: string | undefined;
  mayBeOneSided = false;
  readonly #idle: pg.Client;
  readonly #busy: pg.Client;
  #isStopped = false;
  #status: number | null | undefined;
  #working: Promise<void> = Promise.resolve();

  static async start(connection: Connection): Promise<LiveWork> {
    const work = new LiveWork(connection);
    await Promise.all([work.#idle.connect(), work.#busy.connect()]);
    work.#working = work.#work();
    return work;
  }

  private constructor(connection: Connection) {
    this.connection = connection;
    this.#idle = this.#client();
    this.#busy = this.#client();
    void connection.service.exited.then((status) => {
      this.#status = status;
    });
  }

  get service(): Connection['service'] {
    return this.connection.service;
  }

  get isRunning(): boolean {
    return this.#status === undefined;
  }

  /** What the busy connection ended with. */
  get ended(): Promise<string | undefined> {
    return this.#working.then(() => this.failed);
  }

  /** @returns `one`, or why not */
  async ask(): Promise<string> {
    return this.#idle.query(`SELECT 'one' AS text`).then(
      ({ rows }) => String(rows[0]?.text),
      (error: unknown) => String(error),
    );
  }

  /** A connection more. @returns `one`, or why not */
  async connect(): Promise<string> {
    const client = this.#client();
    try {
      await client.connect();
      const { rows } = await client.query(`SELECT 'one' AS text`);
      await client.end();
      return String(rows[0]?.text);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#working;
    await Promise.all([this.#idle, this.#busy].map((one) => one.end().catch(() => undefined)));
  }

  /** As Ctrl-C. */
  async close(): Promise<number | null> {
    const { service } = this;
    if (this.isRunning) {
      service.kill('SIGCONT');
      service.kill('SIGINT');
    }
    return await service.exited;
  }

  #client(): pg.Client {
    const client = new pg.Client({ connectionString: this.connection.url });
    client.on('error', (error) => {
      this.failed ??= error.message;
    });
    return client;
  }

  async #work(): Promise<void> {
    try {
      while (!this.#isStopped) {
        await this.#busy.query(BUSY, ['x']);
        this.statements += 1;
      }
    } catch (error) {
      this.failed ??= error instanceof Error ? error.message : String(error);
    }
  }
}

/** As cpulimit does it: the process has a tenth of the time, in pieces. */
export async function throttle(processId: number, forMs: number): Promise<void> {
  const untilMs = performance.now() + forMs;
  try {
    while (performance.now() < untilMs) {
      process.kill(processId, 'SIGSTOP');
      await sleep(900);
      process.kill(processId, 'SIGCONT');
      await sleep(100);
    }
  } finally {
    process.kill(processId, 'SIGCONT');
  }
}

export async function standStill(processId: number, forMs: number): Promise<void> {
  process.kill(processId, 'SIGSTOP');
  await sleep(forMs);
  process.kill(processId, 'SIGCONT');
}

/** @param files `undefined`: as many as before */
export function limitFiles(processId: number, files: number | undefined): void {
  const limit = files === undefined ? '1024' : String(files);
  execFileSync('prlimit', ['--pid', String(processId), `--nofile=${limit}:`]);
}
