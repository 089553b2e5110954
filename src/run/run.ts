/**
 * A run: one command, what it may reach, and the sessions that are opened for it as it asks.
 *
 *   start        who acts, which targets, a local port for each; nothing is opened yet
 *   environment  what the child needs to find them
 *   close        ends the sessions, uploads what was recorded, removes the private directory
 */
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import {
  type BriefingWords,
  type ClientConnector,
  type ClientEntry,
  clientConnector,
  type LocalOffer,
  type TargetFacts,
} from '../tunnel/connector.ts';
import type { CarrierChoice } from '../tunnel/stream-opener.ts';
import { uploadPending } from '../tunnel/upload-recordings.ts';
import { adoptAbandonedRuns } from './abandoned-runs.ts';
import type { EnvironmentPart } from './environment.ts';
import { type RunFacts, RunLogin } from './run-login.ts';
import { type ListenerSource, RunTarget, type RunTargetEvents } from './run-target.ts';
import { targetVariables } from './target-variable.ts';
import { isLoginOver, watchLogin } from './watch-login.ts';

export interface RunOptions {
  /** Of whoever starts the run. */
  readonly open: OpenGateway;
  readonly connectors: readonly ClientEntry[];
  /** Empty: all that one may reach. The first is the default where a program names none. */
  readonly targets: readonly string[];
  readonly agent: string | undefined;
  readonly reason: string | undefined;
  readonly command: readonly string[];
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly carrier: CarrierChoice;
  readonly signal: AbortSignal;
  /** Puts up a fence that shows the run's directories; absent: none. */
  readonly fence?:
    | ((run: Pick<RunLogin, 'directory' | 'state'>) => Promise<ListenerSource>)
    | undefined;
  readonly events: RunTargetEvents;
}

/** Called with each session that is opened, before anything is sent in it. */
export type SessionListener = (session: ClientSession) => Promise<void>;

export class Run implements AsyncDisposable {
  readonly #options: RunOptions;
  readonly #login: RunLogin;
  readonly #targets: readonly RunTarget[];
  /** By target: the variable that holds its URL, of those that have one. */
  readonly variables: ReadonlyMap<string, string>;
  /** The target of a program that names none; undefined: there is no such, or several and none was named. */
  readonly mainTarget: string | undefined;
  /** For whoever set it up. */
  readonly notes: readonly string[];
  /** By kind of target: what an agent is told. */
  readonly words: ReadonlyMap<string, BriefingWords>;
  readonly #connection: EnvironmentPart;
  readonly #listeners: SessionListener[];
  /** All sessions so far, also those that have ended. */
  readonly #opened: readonly string[];
  readonly #over: Promise<HoopError>;
  readonly #closing: AbortController;
  #closed: Promise<void> | undefined;

  /** @throws HoopError HOOP_ACCESS_DENIED, HOOP_USAGE, HOOP_LOCAL_PORT; what the gateway says */
  static async start(options: RunOptions): Promise<Run> {
    const login = await RunLogin.start(options);
    const targets: RunTarget[] = [];
    try {
      const fence = await options.fence?.(login);
      const chosen = await chooseTargets(login.facts.reachable.targets, options);
      const offers = await openOffers(chosen, login.directory, options);
      const listeners: SessionListener[] = [];
      const opened: string[] = [];
      const over = Promise.withResolvers<HoopError>();
      const closing = new AbortController();
      for (const { target, offer } of offers.each) {
        targets.push(
          await RunTarget.listen({
            ...options,
            fence,
            open: login.open,
            outer: options.open,
            target,
            offer,
            onSession: async (session) => {
              opened.push(session.id);
              for (const listener of listeners) {
                await listener(session);
              }
            },
            onRevoked: () => {
              login.open.client.whoami(options.signal).catch((error: unknown) => {
                if (isLoginOver(error)) {
                  over.resolve(error);
                }
              });
            },
          }),
        );
      }
      void watchLogin(login.open.client, closing.signal).then(over.resolve);
      return new Run(options, {
        login,
        targets,
        offers,
        listeners,
        opened,
        over: over.promise,
        closing,
      });
    } catch (error) {
      await Promise.all(targets.map((target) => target.close()));
      await login.end();
      throw error;
    }
  }

  private constructor(
    options: RunOptions,
    made: {
      readonly login: RunLogin;
      readonly targets: readonly RunTarget[];
      readonly offers: Offers;
      readonly listeners: SessionListener[];
      readonly opened: readonly string[];
      readonly over: Promise<HoopError>;
      readonly closing: AbortController;
    },
  ) {
    this.#options = options;
    this.#login = made.login;
    this.#targets = made.targets;
    this.#listeners = made.listeners;
    this.#opened = made.opened;
    this.#over = made.over;
    this.#closing = made.closing;
    this.words = made.offers.words;
    const endpoints = made.offers.all.map((offer) => offer.endpoint(options.targets.length > 0));
    const urls = endpoints.flatMap((endpoint) => [...endpoint.urls]);
    this.variables = targetVariables(urls.map(([name]) => name));
    this.mainTarget = endpoints.find(({ main }) => main !== undefined)?.main;
    this.notes = endpoints.flatMap(({ notes = [] }) => notes);
    const ofUrls = urls.map(([name, url]) => [this.variables.get(name) ?? '', url]);
    this.#connection = Object.assign(
      Object.fromEntries(ofUrls),
      ...endpoints.map(({ env }) => env),
    );
  }

  get id(): string {
    return this.#login.id;
  }

  /** What the gateway says of the run's login, at its start. */
  get facts(): RunFacts {
    return this.#login.facts;
  }

  /** Named, or recognised by the gateway; undefined: none. */
  get agent(): string | undefined {
    return this.#login.agent;
  }

  /** The run that this one was started in. */
  get parent(): string | undefined {
    return this.#login.parent;
  }

  /** `HOOP_RUN_DIR`: 0700, for what the child shall find of its run. Removed at the end. */
  get directory(): string {
    return this.#login.directory;
  }

  /** The home of hoop commands inside the run: its tokens, the gateway's pin, their recordings. */
  get state(): string {
    return this.#login.state;
  }

  /** The gateway, with the run's login. */
  get open(): OpenGateway {
    return this.#login.open;
  }

  /** Names, the first is the main one if there is a main one. */
  get targets(): readonly string[] {
    return this.#targets.map(({ name }) => name);
  }

  /** For `buildEnvironment`: where the targets are, and which run this is. */
  get environment(): readonly EnvironmentPart[] {
    return [
      this.#connection,
      {
        HOOP_RUN: this.id,
        HOOP_RUN_DIR: this.directory,
        ...(this.parent === undefined ? {} : { HOOP_PARENT_RUN: this.parent }),
        ...(this.agent === undefined ? {} : { HOOP_AGENT: this.agent }),
      },
    ];
  }

  /** Whether something was sent: a session is opened by the first connection. */
  get hasOpened(): boolean {
    return this.#opened.length > 0;
  }

  /** Resolves when somebody has ended the run's login under it, with what the gateway says. */
  get over(): Promise<HoopError> {
    return this.#over;
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
    this.#closing.abort(new HoopError('HOOP_SESSION_ENDED', 'the run has ended'));
    const failures = await Promise.all(this.#targets.map((target) => target.close()));
    await this.#login.end();
    const { open, events, signal } = this.#options;
    const [first, ...others] = failures.flat();
    // Inside another run there is only its login, which may not touch what others have recorded. A
    // gateway that takes no more would keep us as long again for each: the next command asks it.
    if (open.home.run === undefined && first === undefined) {
      await adoptAbandonedRuns({ open, note: events.note });
      await uploadPending({ open, except: this.#opened, note: events.note, signal });
    }
    for (const other of others) {
      events.note(other instanceof Error ? other.message : String(other));
    }
    if (first !== undefined) {
      throw first;
    }
  }
}

interface Offers {
  readonly all: readonly LocalOffer[];
  readonly each: readonly { readonly target: Reachable; readonly offer: LocalOffer }[];
  readonly words: Run['words'];
}

/** One for each kind, in the order of the connectors. */
async function openOffers(
  chosen: readonly Reachable[],
  directory: string,
  { connectors, env }: RunOptions,
): Promise<Offers> {
  const made = new Map<
    string,
    { readonly connector: ClientConnector; readonly offer: LocalOffer }
  >();
  for (const { kind } of connectors) {
    const first = chosen.find((target) => target.kind === kind);
    if (first !== undefined) {
      const connector = await clientConnector(connectors, first);
      made.set(kind, { connector, offer: connector.open({ directory, env, self: [] }) });
    }
  }
  return {
    all: [...made.values()].map(({ offer }) => offer),
    each: chosen.flatMap((target) => {
      const offer = made.get(target.kind)?.offer;
      return offer === undefined ? [] : [{ target, offer }];
    }),
    words: new Map([...made].map(([kind, { connector }]) => [kind, connector.briefing])),
  };
}

interface Reachable extends TargetFacts {
  readonly kind: string;
  readonly requireReason: boolean;
}

/** What is named must be of a kind that hoop knows; of all that there is, others are left out, and told. */
async function chooseTargets(
  reachable: readonly Reachable[],
  options: RunOptions,
): Promise<readonly Reachable[]> {
  const chosen = [...new Set(options.targets)].map((name) => {
    const found = reachable.find((target) => target.name === name);
    if (found === undefined) {
      throw new HoopError('HOOP_ACCESS_DENIED', `no access to target "${name}"`, {
        detail: 'The policy in force gives this run no access there, or there is no such target.',
        hint: 'See what you can reach with `hoop targets`.',
      });
    }
    if (found.requireReason && (options.reason ?? '').trim() === '') {
      throw new HoopError('HOOP_ACCESS_DENIED', `target "${name}" needs a reason`, {
        detail: 'The policy in force requires a reason for each session.',
        hint: 'Give it with --reason TEXT.',
      });
    }
    return found;
  });
  if (chosen.length > 0) {
    await Promise.all(chosen.map((target) => clientConnector(options.connectors, target)));
    return chosen;
  }
  const isKnown = ({ kind }: Reachable): boolean =>
    options.connectors.some((one) => one.kind === kind && one.client !== undefined);
  for (const { name, kind } of reachable.filter((target) => !isKnown(target))) {
    options.events.note(`"${name}" is skipped: hoop does not know targets of kind "${kind}"`);
  }
  const all = reachable.filter(isKnown);
  if (all.length === 0) {
    throw new HoopError('HOOP_ACCESS_DENIED', 'there is no target that this run may reach', {
      hint: 'See what you can reach or request with `hoop targets`.',
    });
  }
  return all;
}
