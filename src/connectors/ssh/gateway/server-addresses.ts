/**
 * Which names and addresses are the server's own, for rules with `*`. What listens on all of its
 * interfaces trusts what comes from itself, so `*` reaches none of them. The gateway knows what it
 * connects to; of the other interfaces it asks the server, over the session's own connection, when a
 * forward rests on a `*`. What cannot be found out is not allowed.
 */
import { carriedIPv4, isInside, type Network, networkFrom } from '../../../policy/address-class.ts';
import { readRemoteFiles } from './sftp/remote-files.ts';
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

// Which addresses are a Linux machine's own, from what its kernel says of its routes.

/** https://www.kernel.org/doc/html/latest/networking/fib_trie.html */
const FIB_TRIE = '/proc/net/fib_trie';
/** Of linux/ipv6_route.h and linux/in6.h: RTF_LOCAL, RTF_ANYCAST. */
const RTF_OWN = 0x8010_0000;

const LOCAL_TABLES = { ipv4: FIB_TRIE, ipv6: '/proc/net/ipv6_route' } as const;

/**
 * @param ipv6 undefined: the kernel has no IPv6
 * @returns undefined: that is not what a kernel says, which always has an address of its own
 */
export function localNetworks(
  ipv4: string,
  ipv6: string | undefined,
): readonly Network[] | undefined {
  const [four, six] = [localIPv4(ipv4), ipv6 === undefined ? [] : localIPv6(ipv6)];
  return four === undefined || four.length === 0 || six === undefined
    ? undefined
    : [...four, ...six];
}

/**
 *     |-- 192.0.2.2
 *        /32 host LOCAL
 */
function localIPv4(text: string): Network[] | undefined {
  const found: Network[] = [];
  let address: string | undefined;
  for (const line of text.split('\n')) {
    address = /^ +\|-- (\d+\.\d+\.\d+\.\d+)$/.exec(line)?.[1] ?? address;
    const prefix = /^ +\/(\d+) \S+ (?:LOCAL|ANYCAST)\b/.exec(line)?.[1];
    if (prefix === undefined) continue;
    const network = networkFrom(`${address}/${prefix}`);
    if (network === undefined) return undefined;
    found.push(network);
  }
  return found;
}

/** destination, length of its prefix, source, length, next hop, metric, counters, flags, interface. */
function localIPv6(text: string): Network[] | undefined {
  const found: Network[] = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const fields = /^([0-9a-f]{32}) ([0-9a-f]{2})(?: [0-9a-f]+){6} ([0-9a-f]{8}) +\S+$/.exec(line);
    if (fields === null) return undefined;
    const [, digits = '', prefix = '', flags = ''] = fields;
    if ((Number.parseInt(flags, 16) & RTF_OWN) === 0) continue;
    const address = (digits.match(/.{4}/g) ?? []).join(':');
    found.push({ address, prefix: Number.parseInt(prefix, 16) });
  }
  return found;
}
