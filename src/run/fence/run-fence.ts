/** The fence of a run: its targets' ports and the proxy to allowed hosts inside, and what the command is told of it. */
import { join } from 'node:path';
import { LocalListener } from '../../tunnel/local-listener.ts';
import type { EnvironmentPart } from '../environment.ts';
import type { RemovalReason, RemovedVariables } from '../removed-variables.ts';
import { type AllowedHost, parseAllowedHost } from './allowed-hosts.ts';
import { EgressProxy } from './egress-proxy.ts';
import { Fence, type FencedCommand, type FenceOptions } from './fence.ts';
import type { FenceView } from './fence-view.ts';
import { DEAD_VARIABLES } from './hidden-places.ts';
import { isLetIn } from './let-in-variables.ts';
import { LoopbackDoor, parseLoopback } from './loopback-door.ts';
import type { ShadowState } from './shadow-state.ts';

/** What the configuration and the flags say about a fence. */
export interface FenceSettings {
  /** As `parseAllowedHost` takes them. */
  readonly allow: readonly string[];
  readonly hide: readonly string[];
  readonly show: readonly string[];
  readonly write: readonly string[];
}

export interface RunFenceOptions extends Omit<FenceOptions, keyof FenceSettings> {
  readonly settings: FenceSettings;
  /** The state of the agent, of which there is a copy inside. */
  readonly shadow?: ShadowState | undefined;
  /** Variables with keys of the agent's model, which go in. */
  readonly keys?: readonly string[];
  /** Once for each host that is not let through. */
  readonly onRefused?: (host: string, because: string) => void;
}

/** Where a fenced command keeps what it can do without tomorrow. */
const TEMPORARY = '/tmp';

export class RunFence implements AsyncDisposable {
  readonly shadow: ShadowState | undefined;
  readonly #fence: Fence;
  readonly #proxy: EgressProxy;
  readonly #proxyPort: number;
  readonly #doors: readonly LoopbackDoor[];
  readonly #keys: readonly string[];

  /** @throws HoopError HOOP_FENCE, HOOP_USAGE */
  static async open(options: RunFenceOptions): Promise<RunFence> {
    const { settings, signal, onRefused } = options;
    const ports = new Set<number>();
    const allowed: AllowedHost[] = [];
    for (const text of settings.allow) {
      const port = parseLoopback(text);
      if (port === undefined) {
        allowed.push(parseAllowedHost(text));
      } else {
        ports.add(port);
      }
    }
    const { shadow } = options;
    const fence = await Fence.open({ ...options, ...settings, shadows: shadow?.places ?? [] });
    const proxy = new EgressProxy({
      allowed,
      loopbackPorts: ports,
      ...(onRefused ? { onRefused } : {}),
    });
    try {
      // First of all: a free port that is given away could be one of these.
      const doors: LoopbackDoor[] = [];
      for (const door of ports) {
        const name = `127.0.0.1:${door}`;
        const because = 'it speaks PostgreSQL';
        doors.push(
          new LoopbackDoor(await fence.listen(signal, door), door, () => proxy.note(name, because)),
        );
      }
      const listener = await fence.listen(signal);
      const address = listener.address();
      proxy.serve(listener);
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const { keys = [] } = options;
      return new RunFence({ fence, proxy, proxyPort: port, doors, keys, shadow });
    } catch (error) {
      await fence[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(made: {
    readonly fence: Fence;
    readonly proxy: EgressProxy;
    readonly proxyPort: number;
    readonly doors: readonly LoopbackDoor[];
    readonly keys: readonly string[];
    readonly shadow: ShadowState | undefined;
  }) {
    this.#fence = made.fence;
    this.#proxy = made.proxy;
    this.#proxyPort = made.proxyPort;
    this.#doors = made.doors;
    this.#keys = made.keys;
    this.shadow = made.shadow;
  }

  get view(): FenceView {
    return this.#fence.view;
  }

  /** For programs that hoop runs outside meanwhile. */
  pathOutside(path: string): string {
    return this.#fence.pathOutside(path);
  }

  /** How often a host was not let through, by host and port. */
  get refused(): ReadonlyMap<string, number> {
    return this.#proxy.refused;
  }

  /** For the local port of a target: a port of the child's loopback. */
  async openListener(signal: AbortSignal): Promise<LocalListener> {
    return LocalListener.adopt(await this.#fence.listen(signal));
  }

  /**
   * Why a variable does not go inside, if it is not kept by name.
   * @returns undefined: it goes in
   */
  reasonAgainst(name: string, rules: RemovedVariables, value: string): RemovalReason | undefined {
    if (DEAD_VARIABLES.includes(name)) {
      return 'does not exist in the fence';
    }
    const isIn = isLetIn(name, value) || this.#keys.includes(name) || rules.isKept(name);
    return rules.reason(name, value) ?? (isIn ? undefined : 'not let into the fence');
  }

  get environment(): EnvironmentPart {
    const proxy = `http://127.0.0.1:${this.#proxyPort}`;
    const direct = 'localhost,127.0.0.1,::1';
    return {
      HOOP_FENCE: '1',
      HTTPS_PROXY: proxy,
      https_proxy: proxy,
      HTTP_PROXY: proxy,
      http_proxy: proxy,
      NO_PROXY: direct,
      no_proxy: direct,
      // Node.js 24 looks at the others only when it is told to.
      NODE_USE_ENV_PROXY: '1',
      TMPDIR: TEMPORARY,
      // The person's own are not writable.
      XDG_CACHE_HOME: join(TEMPORARY, '.cache'),
      CHROME_CONFIG_HOME: join(TEMPORARY, '.config'),
      npm_config_cache: join(TEMPORARY, '.npm'),
      PSQL_HISTORY: join(TEMPORARY, '.psql_history'),
    };
  }

  /** Runs the command inside; once. @throws HoopError HOOP_MISSING_PROGRAM */
  become(command: readonly string[], env: NodeJS.ProcessEnv): Promise<FencedCommand> {
    return this.#fence.become(command, env);
  }

  /** Ends what runs inside. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fence[Symbol.asyncDispose]();
    await this.#proxy[Symbol.asyncDispose]();
    await Promise.all(this.#doors.map((door) => door[Symbol.asyncDispose]()));
  }
}
