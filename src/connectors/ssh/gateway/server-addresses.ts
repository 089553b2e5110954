/**
 * Which names and addresses are the server's own, for rules with `*`. What listens on all of its
 * interfaces trusts what comes from itself, so `*` reaches none of them. The gateway knows what it
 * connects to; of the other interfaces it asks the server, over the session's own connection, when a
 * forward rests on a `*`. What cannot be found out is not allowed.
 */
import { carriedIPv4, isInside, type Network } from '../../../policy/address-class.ts';
import { LOCAL_TABLES, localNetworks } from './local-tables.ts';
import { readRemoteFiles } from './remote-files.ts';
import type { TargetChannels } from './target-channels.ts';

/** Interfaces come and go: what the server has said holds for so long. */
const HOLDS_MS = 60_000;
/** And that it has said nothing. */
const FAILURE_HOLDS_MS = 10_000;
const ASK_WITHIN_MS = 5_000;

export class OwnPlaces {
  readonly #names: ReadonlySet<string>;
  readonly #networks: readonly Network[];

  /** @param names lower case; addresses in the usual spelling */
  constructor(names: readonly string[], networks: readonly Network[] = []) {
    this.#names = new Set(names);
    this.#networks = networks;
  }

  /** @param place a name, or an address in the usual spelling */
  has(place: string): boolean {
    return (
      this.#names.has(place) ||
      [place, ...carriedIPv4(place)].some((address) =>
        this.#networks.some((network) => isInside(address, network.address, network.prefix)),
      )
    );
  }
}

export interface ServerAddressesOptions {
  /** Names and addresses that the gateway knows by itself. */
  readonly known: () => Promise<readonly string[]>;
  /** What the policy says that they are; undefined: the server is asked. */
  readonly listed: readonly Network[] | undefined;
  readonly targets: TargetChannels;
  readonly signal: AbortSignal;
  /** Milliseconds that only go forward; for tests. */
  readonly now?: () => number;
}

export class ServerAddresses {
  readonly #options: ServerAddressesOptions;
  #known: Promise<readonly string[]> | undefined;
  #asked: { readonly answer: Promise<readonly Network[] | undefined>; until: number } | undefined;

  constructor(options: ServerAddressesOptions) {
    this.#options = options;
  }

  /** Without asking the server. */
  async known(): Promise<OwnPlaces> {
    return new OwnPlaces(await this.#knownNames(), this.#options.listed);
  }

  /** @returns undefined: it cannot be found out */
  async all(): Promise<OwnPlaces | undefined> {
    const names = await this.#knownNames();
    const networks = this.#options.listed ?? (await this.#askOnce());
    return networks && new OwnPlaces(names, networks);
  }

  #knownNames(): Promise<readonly string[]> {
    this.#known ??= this.#options.known();
    return this.#known;
  }

  async #askOnce(): Promise<readonly Network[] | undefined> {
    const { now = () => performance.now() } = this.#options;
    if (this.#asked === undefined || now() >= this.#asked.until) {
      this.#asked = { answer: this.#ask(), until: Number.POSITIVE_INFINITY };
    }
    const asked = this.#asked;
    const networks = await asked.answer;
    const holdsMs = networks === undefined ? FAILURE_HOLDS_MS : HOLDS_MS;
    asked.until = Math.min(asked.until, now() + holdsMs);
    return networks;
  }

  async #ask(): Promise<readonly Network[] | undefined> {
    const { targets, signal } = this.#options;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(ASK_WITHIN_MS)]);
    try {
      const paths = [LOCAL_TABLES.ipv4, LOCAL_TABLES.ipv6];
      const [ipv4, ipv6] = await readRemoteFiles(targets, paths, deadline);
      return ipv4 == null ? undefined : localNetworks(ipv4, ipv6 ?? undefined);
    } catch {
      // No sftp, no Linux, no answer: whoever asks is told what to do.
      return undefined;
    }
  }
}
