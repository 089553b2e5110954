/**
 * The run's own login and the directories that programs inside the run find it by. The tokens are in
 * a file which they share, under a lock: whoever uses them last renews them.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkReason } from '../api/free-text.ts';
import { MAX_COMMAND_LENGTH, MAX_COMMAND_WORDS, type RunReply } from '../api/runs.ts';
import { FileTokenStore } from '../auth/file-token-store.ts';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { StoredTokens } from '../auth/stored-tokens.ts';
import { type TokenRecord, toTokenRecord } from '../auth/token-record.ts';
import { seedTrust } from '../auth/trust.ts';
import { generateDpopKey, importDpopKey } from '../client/dpop-key.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { adoptRunState, makeRunState } from '../client/run-states.ts';
import { makeRuntimeDirectory } from '../client/runtime-directory.ts';
import { HoopError } from '../errors.ts';
import { type ClientConfig, type Home, RUN_FILE, writeConfig } from '../home.ts';

export interface RunLoginOptions {
  /** Of whoever starts the run. */
  readonly open: OpenGateway;
  readonly agent: string | undefined;
  readonly reason: string | undefined;
  readonly command: readonly string[];
  /** Empty: all. */
  readonly targets: readonly string[];
  readonly signal: AbortSignal;
}

export type RunFacts = Pick<RunReply, 'whoami' | 'reachable' | 'requestable'>;

export class RunLogin {
  readonly id: string;
  readonly agent: string | undefined;
  /** The run that it was made in. */
  readonly parent: string | undefined;
  /** What the gateway says of the login, and what whoever starts the run may ask for. */
  readonly facts: RunFacts;
  /** `HOOP_RUN_DIR`: 0700, for sockets and files that end with the run. */
  readonly directory: string;
  /** The home of programs inside the run: tokens, pin, recordings. */
  readonly state: string;
  /** The gateway with the run's login; recordings of this process go to the home of whoever runs it. */
  readonly open: OpenGateway;
  readonly #outer: OpenGateway;
  readonly #store: FileTokenStore;
  /** As it was at first. The file is the child's to write: what ends the login is not read there. */
  readonly #record: TokenRecord;

  /** @throws HoopError HOOP_AGENT_UNKNOWN, HOOP_NOT_LOGGED_IN; what the gateway says */
  static async start(options: RunLoginOptions): Promise<RunLogin> {
    const { open, agent, reason, targets, signal } = options;
    checkReason(reason);
    const key = generateDpopKey();
    const directory = makeRuntimeDirectory(open.home.runtime);
    try {
      const reply = await open.client.startRun(
        key,
        {
          command: boundedCommand(options.command),
          ...(agent === undefined ? {} : { agent }),
          ...(reason === undefined ? {} : { reason }),
          ...(targets.length === 0 ? {} : { targets: [...new Set(targets)] }),
        },
        signal,
      );
      const record = toTokenRecord(reply.token, key, Date.now());
      const state = makeRunState(open.home, reply.run);
      const login = new RunLogin({ open, directory, state, record, reply });
      try {
        await login.#writeHome();
      } catch (error) {
        await login.end();
        throw error;
      }
      return login;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(made: {
    readonly open: OpenGateway;
    readonly reply: RunReply;
    readonly directory: string;
    readonly state: string;
    readonly record: TokenRecord;
  }) {
    const { open, reply, directory, state, record } = made;
    this.id = reply.run;
    this.agent = reply.agent;
    this.parent = reply.parent;
    this.facts = {
      whoami: reply.whoami,
      reachable: reply.reachable,
      requestable: reply.requestable,
    };
    this.directory = directory;
    this.state = state;
    this.#outer = open;
    this.#store = new FileTokenStore(state);
    this.#record = record;
    const home: Home = { config: state, state, runtime: directory, run: reply.run };
    const config: ClientConfig = { gateway: open.gateway, tokenStore: 'file' };
    const tokens = new StoredTokens({
      home,
      config,
      gateway: open.gateway,
      refresh: (token, key, signal) => open.client.refresh(token, key, signal),
      confirm: () => Promise.reject(new TypeError('a run has no tokens of a provider')),
      clock: Date.now,
    });
    this.open = {
      ...open,
      client: open.client.as(tokens),
      tokens: { store: this.#store, record },
      // The connections are those of the outer one, who closes them.
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async #writeHome(): Promise<void> {
    const { gateway, pin } = this.open;
    const { client } = this.#outer;
    mkdirSync(this.state, { recursive: true, mode: 0o700 });
    const ca = client.ca === undefined ? undefined : join(this.state, 'ca.pem');
    if (ca !== undefined && client.ca !== undefined) {
      writeFileSync(ca, client.ca, { mode: 0o600 });
    }
    const home: Home = { config: this.state, state: this.state, runtime: this.directory };
    writeConfig(home, { gateway, tokenStore: 'file', ...(ca === undefined ? {} : { ca }) });
    seedTrust(home, gateway, pin);
    await this.#store.write(gateway, this.#record);
    const found = { v: 1, run: this.id, state: this.state };
    writeFileSync(join(this.directory, RUN_FILE), `${JSON.stringify(found)}\n`, { mode: 0o600 });
  }

  /**
   * Ends the login at the gateway, and removes what programs inside the run could find it by.
   * @returns sessions that they have left behind, whose recordings are in the outer home now
   */
  async end(): Promise<readonly string[]> {
    rmSync(this.directory, { recursive: true, force: true });
    try {
      return await adoptRunState(this.#outer.home, this.state);
    } finally {
      // As it was at the start: any of its handles names the login.
      await endRunLogin(this.#outer.client, this.#record);
    }
  }
}

/** What the gateway takes. It recognises an agent by its first words; what is behind them is for people. */
function boundedCommand(command: readonly string[]): string[] {
  const words: string[] = [];
  let length = 0;
  for (const word of command.slice(0, MAX_COMMAND_WORDS)) {
    length += word.length + 1;
    if (length > MAX_COMMAND_LENGTH) {
      break;
    }
    words.push(word);
  }
  return words;
}

/** The login ends by itself when its parent's does; nobody waits long to end it earlier. */
const LOGOUT_WITHIN_MS = 5_000;

/** Ends the login of a run at the gateway, if the gateway can be told. */
export async function endRunLogin(client: GatewayClient, record: TokenRecord): Promise<void> {
  const signal = AbortSignal.timeout(LOGOUT_WITHIN_MS);
  try {
    await client.logout(record.refreshToken, importDpopKey(record.key), signal);
  } catch (error) {
    // It has ended already, or the gateway cannot be told: it ends it with the outer login.
    if (!(error instanceof HoopError) && !signal.aborted) {
      throw error;
    }
  }
}
