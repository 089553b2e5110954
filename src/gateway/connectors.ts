/** The connectors of one gateway, by the kind of target that each is for. */
import { HoopError } from '../errors.ts';
import type { MaskAlert } from '../policy/mask-alert.ts';
import type { Policy } from '../policy/policy.ts';
import { type StreamKind, TERMINAL_STREAM } from '../stream-kinds.ts';
import type { GatewayServices, GatewaySource, OpenConnector } from './connector.ts';

export class Connectors implements AsyncDisposable {
  readonly #sources: readonly GatewaySource[];
  readonly #open: ReadonlyMap<string, OpenConnector>;
  readonly #opened: AsyncDisposableStack;

  private constructor(
    sources: readonly GatewaySource[],
    open: ReadonlyMap<string, OpenConnector>,
    opened: AsyncDisposableStack,
  ) {
    this.#sources = sources;
    this.#open = open;
    this.#opened = opened;
  }

  static async open(
    sources: readonly GatewaySource[],
    services: GatewayServices,
  ): Promise<Connectors> {
    await using opened = new AsyncDisposableStack();
    const open = new Map<string, OpenConnector>();
    for (const source of sources) {
      const connector = (await source.gateway()).open(services);
      opened.defer(async () => connector[Symbol.asyncDispose]?.());
      open.set(source.kind, connector);
    }
    return new Connectors(sources, open, opened.move());
  }

  /** @throws HOOP_CONFIG: this gateway was built without it */
  of(kind: string): OpenConnector {
    const found = this.#open.get(kind);
    if (found === undefined) {
      throw new HoopError(
        'HOOP_CONFIG',
        `the gateway has no connector for targets of kind ${kind}`,
      );
    }
    return found;
  }

  /** Of all of them. */
  streamKinds(): readonly StreamKind[] {
    return [...this.#sources.flatMap(({ streamKinds }) => streamKinds), TERMINAL_STREAM];
  }

  /** Of a session on such a target. */
  streamKindsOf(kind: string): readonly StreamKind[] {
    const own = this.#sources.find((source) => source.kind === kind)?.streamKinds ?? [];
    return [...own, TERMINAL_STREAM];
  }

  /** See `GatewaySource.does`. */
  doesActs(kind: string | undefined): boolean {
    return doesActs(this.#sources)(kind);
  }

  /** A commit has come into force. */
  policyChanged(policy: Policy): void {
    for (const connector of this.#open.values()) connector.policyChanged?.(policy);
  }

  alerts(): readonly MaskAlert[] {
    return [...this.#open.values()].flatMap((connector) => connector.alerts?.() ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

export function doesActs(sources: readonly GatewaySource[]): (kind: string | undefined) => boolean {
  const kinds = new Set(sources.flatMap(({ kind, does }) => (does === 'acts' ? [kind] : [])));
  return (kind) => kind !== undefined && kinds.has(kind);
}
