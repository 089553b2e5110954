/**
 * A run: one command, what it may reach, and the sessions that are opened for it as it asks.
 *
 *   start        who acts, which targets, a local port for each; nothing is opened yet
 *   environment  what the child needs to find them
 *   close        ends the sessions, uploads what was recorded, removes the private directory
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import { connectionUrl, writeConnectionFiles } from '../tunnel/connection-files.ts';
import { makeRuntimeDirectory } from '../tunnel/runtime-directory.ts';
import type { CarrierChoice } from '../tunnel/stream-opener.ts';
import type { EnvironmentPart } from './environment.ts';
import { type ListenerSource, RunTarget, type RunTargetEvents } from './run-target.ts';
import { targetVariables } from './target-variable.ts';

export interface RunOptions {
  readonly open: OpenGateway;
  /** Empty: all that one may reach. The first is the default for PG* and DATABASE_URL. */
  readonly targets: readonly string[];
  readonly agent: string | undefined;
  readonly reason: string | undefined;
  readonly command: readonly string[];
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly carrier: CarrierChoice;
  readonly signal: AbortSignal;
  /** Puts up a fence that shows the run's directory; absent: none. */
  readonly fence?: ((directory: string) => Promise<ListenerSource>) | undefined;
  readonly events: RunTargetEvents;
}

/** Called with each session that is opened, before anything is sent in it. */
export type SessionListener = (session: ClientSession) => Promise<void>;

export class Run implements AsyncDisposable {
  readonly id: string;
  readonly agent: string | undefined;
  /** 0700; what the child may know of its run. Removed at the end. */
  readonly directory: string;
  readonly #targets: readonly RunTarget[];
  /** The target of PG* and DATABASE_URL. */
  readonly #main: RunTarget | undefined;
  readonly #connection: EnvironmentPart;
  readonly #listeners: SessionListener[];
  #closed: Promise<void> | undefined;

  /** @throws HoopError HOOP_ACCESS_DENIED, HOOP_USAGE, HOOP_LOCAL_PORT; what the gateway says */
  static async start(options: RunOptions): Promise<Run> {
    const { open, signal } = options;
    const reply = await open.client.targets(signal);
    const chosen = chooseTargets(reply.targets, options);
    const variables = targetVariables(chosen.map(({ name }) => name));
    const listeners: SessionListener[] = [];
    const directory = makeRuntimeDirectory(open.home.runtime);
    const targets: RunTarget[] = [];
    try {
      const fence = await options.fence?.(directory);
      for (const { name, database } of chosen) {
        targets.push(
          await RunTarget.listen({
            ...options,
            fence,
            name,
            database: database ?? name,
            onSession: async (session) => {
              for (const listener of listeners) {
                await listener(session);
              }
            },
          }),
        );
      }
      return new Run(options, { directory, targets, variables, listeners });
    } catch (error) {
      await Promise.all(targets.map((target) => target.close()));
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(
    options: RunOptions,
    made: {
      readonly directory: string;
      readonly targets: readonly RunTarget[];
      readonly variables: ReadonlyMap<string, string>;
      readonly listeners: SessionListener[];
    },
  ) {
    this.id = randomUUID();
    this.agent = options.agent;
    this.directory = made.directory;
    this.#targets = made.targets;
    this.#listeners = made.listeners;
    const isOne = options.targets.length > 0 || made.targets.length === 1;
    this.#main = isOne ? made.targets[0] : undefined;
    this.#connection = this.#connectionPart(made.variables);
  }

  /** Names, the first is the main one if there is a main one. */
  get targets(): readonly string[] {
    return this.#targets.map(({ facts }) => facts.name);
  }

  /** Of PG* and DATABASE_URL; undefined: several, and none was named. */
  get mainTarget(): string | undefined {
    return this.#main?.facts.name;
  }

  /** For `buildEnvironment`: where the targets are, and which run this is. */
  get environment(): readonly EnvironmentPart[] {
    return [
      this.#connection,
      {
        HOOP_RUN: this.id,
        HOOP_RUN_DIR: this.directory,
        ...(this.agent === undefined ? {} : { HOOP_AGENT: this.agent }),
      },
    ];
  }

  /** Addresses of the local ports: all that a fenced child has to reach. */
  get ports(): readonly { readonly host: string; readonly port: number }[] {
    return this.#targets.map(({ facts: { host, port } }) => ({ host, port }));
  }

  /** The sessions that are open now, or being opened. */
  async sessions(): Promise<readonly ClientSession[]> {
    const all = await Promise.all(this.#targets.map(({ session }) => session));
    return all.filter((session) => session !== undefined);
  }

  /** From now on `listener` is the first to see each session that is opened. */
  beforeEachSession(listener: SessionListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Ends the sessions and uploads their recordings. Idempotent.
   * @throws HoopError HOOP_UPLOAD_FAILED, the first of several
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const failures = await Promise.all(this.#targets.map((target) => target.close()));
    rmSync(this.directory, { recursive: true, force: true });
    const [first] = failures.flat();
    if (first !== undefined) {
      throw first;
    }
  }

  #connectionPart(variables: ReadonlyMap<string, string>): EnvironmentPart {
    const all = this.#targets.map(({ facts }) => facts);
    const files = writeConnectionFiles(this.directory, all);
    const urls = all.flatMap((facts) => {
      const variable = variables.get(facts.name);
      return variable === undefined ? [] : [[variable, connectionUrl(facts)]];
    });
    const main = this.#main?.facts;
    return {
      PGPASSFILE: files.passwordFile,
      PGSERVICEFILE: files.serviceFile,
      ...Object.fromEntries(urls),
      ...(main === undefined
        ? {}
        : {
            PGHOST: main.host,
            PGPORT: String(main.port),
            PGUSER: main.user,
            PGDATABASE: main.database,
            DATABASE_URL: connectionUrl(main),
          }),
    };
  }
}

interface Reachable {
  readonly name: string;
  readonly kind: string;
  readonly database?: string | undefined;
  readonly requireReason: boolean;
}

function chooseTargets(reachable: readonly Reachable[], options: RunOptions): Reachable[] {
  const all = reachable.filter(({ kind }) => kind === 'postgres');
  const chosen = [...new Set(options.targets)].map((name) => {
    const found = all.find((target) => target.name === name);
    if (found === undefined) {
      throw new HoopError('HOOP_ACCESS_DENIED', `no access to target "${name}"`, {
        detail: 'The policy in force gives this run nothing there, or there is no such target.',
        hint: 'See what you can reach with `hoop targets`.',
      });
    }
    if (found.requireReason && (options.reason ?? '').trim() === '') {
      throw new HoopError('HOOP_ACCESS_DENIED', `target "${name}" needs a reason`, {
        detail: 'The policy in force demands a reason for each session.',
        hint: 'Give it with --reason TEXT.',
      });
    }
    return found;
  });
  if (chosen.length > 0) {
    return chosen;
  }
  if (all.length === 0) {
    throw new HoopError('HOOP_ACCESS_DENIED', 'there is no target that this run may reach', {
      hint: 'See what you can reach or ask for with `hoop targets`.',
    });
  }
  return all;
}
