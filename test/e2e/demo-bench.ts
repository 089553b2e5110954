import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import pg from 'pg';
import { expect } from 'vitest';
import { openGateway } from '../../src/auth/open-gateway.ts';
import type { GatewayClient } from '../../src/client/gateway-client.ts';
import { type Demo, type DemoOptions, startDemo } from '../../src/demo/demo.ts';
import {
  childEnvironment,
  type HoopRun,
  type HoopService,
  runHoop,
  startHoop,
} from '../../src/demo/hoop-process.ts';
import { logInDemo } from '../log-in-demo.ts';
import { demoTemplate } from '../postgres-template.ts';
import { waitFor } from '../wait-for.ts';

/** One demo for a test file: `const bench = await openBench()` in beforeAll, dispose in afterAll. */
export async function openBench(options: Pick<DemoOptions, 'gatewayConfig'> = {}): Promise<Bench> {
  // The soak programs run without Vitest, and have no directory to share.
  const isTest = process.env['VITEST'] !== undefined;
  const demo = await startDemo({
    ...(isTest ? { template: await demoTemplate() } : {}),
    logIn: logInDemo,
    // As by default. Each look starts git, and 40 files look for as long as they take.
    pollSeconds: 5,
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

  /** What a short command asks the gateway for `identity`, without the process, which is 0.3 s. */
  async ask<T>(
    identity: string,
    request: (client: GatewayClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const env = childEnvironment({ home: this.home(identity) });
    await using gateway = await openGateway({ env });
    return await request(gateway.client, new AbortController().signal);
  }

  /** Sessions as `identity` sees them, newest first: those of `hoop sessions list --json`. */
  async sessions(identity: string): Promise<Record<string, unknown>[]> {
    const { sessions } = await this.ask(identity, (client, signal) =>
      client.sessions({ limit: '50' }, signal),
    );
    return sessions.map((session) => ({ ...session }));
  }

  /** The recording of a session that has been uploaded, as `hoop sessions download` saves it. */
  async bundle(identity: string, session: string): Promise<Buffer> {
    return await this.ask(identity, async (client, signal) =>
      buffer(await client.bundle(session, signal)),
    );
  }

  /** A signed commit that is in force when it returns. */
  async commitPolicy(files: Readonly<Record<string, string | undefined>>): Promise<void> {
    const commit = await this.demo.policy.commit({ files, message: 'policy: of a test' });
    await waitFor(async () => {
      const targets = await this.ask('engineer', (client, signal) => client.targets(signal));
      expect(targets.commit).toBe(commit);
    });
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

  /** Resolves with the first line of this event. */
  event(name: string): Promise<Record<string, unknown>> {
    return waitFor(() => {
      const line = this.lines.find(({ event }) => event === name);
      if (line === undefined) {
        throw new Error(`no "${name}" yet: ${this.service.log()}`);
      }
      return line;
    });
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
