import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import pg from 'pg';
import { type Demo, type DemoOptions, startDemo } from '../../src/demo/demo.ts';
import { type HoopRun, type HoopService, runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { logInDemo } from '../log-in-demo.ts';
import { postgresTemplate } from '../postgres-template.ts';

/** One demo for a test file: `const bench = await openBench()` in beforeAll, dispose in afterAll. */
export async function openBench(options: Pick<DemoOptions, 'gatewayConfig'> = {}): Promise<Bench> {
  // The soak programs run without Vitest, and have no directory to share.
  const isTest = process.env['VITEST'] !== undefined;
  const demo = await startDemo({
    ...(isTest ? { template: await postgresTemplate() } : {}),
    logIn: logInDemo,
    ...options,
    note: () => undefined,
    signal: new AbortController().signal,
  });
  return new Bench(demo);
}

export class Bench implements AsyncDisposable {
  readonly demo: Demo;

  constructor(demo: Demo) {
    this.demo = demo;
  }

  home(identity: string): string {
    const home = this.demo.homes[identity];
    if (home === undefined) {
      throw new Error(`the demo has no identity "${identity}"`);
    }
    return home;
  }

  hoop(identity: string, ...args: string[]): Promise<HoopRun> {
    return runHoop(args, { home: this.home(identity) });
  }

  /** `hoop connect prod-db -- psql -c …`, as a person types it. */
  psql(identity: string, ...statements: string[]): Promise<HoopRun> {
    const commands = statements.flatMap((text) => ['-c', text]);
    return this.hoop(
      identity,
      'connect',
      'prod-db',
      '--',
      'psql',
      '-X',
      '-v',
      'VERBOSITY=verbose',
      ...commands,
    );
  }

  async connect(identity: string, ...flags: string[]): Promise<Connection> {
    const lines: Record<string, unknown>[] = [];
    const service = await startHoop(['connect', 'prod-db', '--json', ...flags], 'listening', {
      home: this.home(identity),
      onLine: (line) => lines.push({ ...line }),
    });
    return new Connection(service, lines);
  }

  /** Backends of the target that run a statement with this text now, past the gateway. */
  async running(text: string): Promise<number> {
    const client = new pg.Client({ connectionString: this.demo.target.adminUrl });
    await client.connect();
    try {
      const { rows } = await client.query(
        `SELECT 1 FROM pg_stat_activity
         WHERE state = 'active' AND pid <> pg_backend_pid() AND position($1 in query) > 0`,
        [text],
      );
      return rows.length;
    } finally {
      await client.end();
    }
  }

  /** Sessions as `identity` sees them, newest first. */
  async sessions(identity: string): Promise<Record<string, unknown>[]> {
    const { stdout } = await this.hoop(identity, 'sessions', 'list', '--json');
    const reply: unknown = JSON.parse(stdout);
    if (
      typeof reply !== 'object' ||
      reply === null ||
      !('sessions' in reply) ||
      !Array.isArray(reply.sessions)
    ) {
      throw new Error(`not a list of sessions: ${stdout}`);
    }
    return reply.sessions;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.demo[Symbol.asyncDispose]());
  }
}

/** A running `hoop connect … --json`. */
export class Connection implements AsyncDisposable {
  readonly service: HoopService;
  /** Every NDJSON line so far. */
  readonly lines: readonly Record<string, unknown>[];

  constructor(service: HoopService, lines: readonly Record<string, unknown>[]) {
    this.service = service;
    this.lines = lines;
  }

  get url(): string {
    return String(this.service.ready['url']);
  }

  get session(): string {
    return String(this.service.ready['session']);
  }

  async socket(): Promise<Socket> {
    const socket = connectSocket(
      Number(this.service.ready['port']),
      String(this.service.ready['host']),
    );
    await once(socket, 'connect');
    return socket;
  }

  /** Ctrl-C, and wait until the recording is uploaded and the process has gone. */
  async close(): Promise<number | null> {
    this.service.kill('SIGINT');
    return this.service.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
  }
}
