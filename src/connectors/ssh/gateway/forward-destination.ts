/**
 * Where `ssh -L` leads to. The name is resolved here and the target is asked to dial the address: a
 * name that the target resolves could be another one than what the policy meant, and may change
 * between the decision and the dialling. Nothing is ever dialled by the gateway itself.
 */
import { isIP } from 'node:net';
import { HoopError } from '../../../errors.ts';
import { classifyAddress } from '../../../policy/address-class.ts';
import type { Grant, Refusal } from '../../../policy/types.ts';
import { deniedAddress } from '../policy/decide-forward.ts';
import { decideSsh } from '../policy/decide-ssh.ts';
import type { NameResolver } from './name-resolver.ts';
import { OwnPlaces } from './server-addresses.ts';
import type { SshTarget } from './types.ts';

export interface ForwardDestination {
  /** Lower case, without the dot at the end; an address in the usual spelling. */
  readonly host: string;
  readonly port: number;
  /** It is the server itself, as far as the gateway knows that one. */
  readonly isServer: boolean;
}

const NOWHERE = new OwnPlaces([]);
/** Nobody waits longer for a connection because a name server is slow. */
const NAMES_WITHIN_MS = 2_000;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** RFC 1035 §2.3.4, without the root. */
const MAX_NAME_LENGTH = 253;

/**
 * What the client asked for, if it can be told what that is.
 * @param own addresses and names of the server
 * @throws HoopError HOOP_NOT_ALLOWED
 */
export function forwardDestination(host: string, port: number, own = NOWHERE): ForwardDestination {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw refused(`cannot forward to port ${port}`);
  }
  const name = host.toLowerCase().replace(/\.$/, '');
  if (isIP(name) !== 0) {
    const address = usualAddress(name);
    return { host: address, port, isServer: own.has(address) };
  }
  const labels = name.split('.');
  // inet_aton takes 127.1, 0x7f.1 and 2130706433 for addresses, and 010.0.0.1 for another one than
  // it looks like; no top level domain is a number (RFC 3696 §2).
  const looksNumeric = /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '');
  if (name.length > MAX_NAME_LENGTH || looksNumeric || !labels.every((one) => LABEL.test(one))) {
    throw refused('the destination of this forward is neither a host name nor an address');
  }
  return { host: name, port, isServer: own.has(name) };
}

/**
 * The server's addresses and names that the gateway knows by itself: all that the configuration has
 * for it, all addresses of these names, and the one that it is connected to.
 */
export async function knownAddresses(
  { hosts }: Pick<SshTarget, 'hosts'>,
  connected: string | undefined,
  resolver: NameResolver,
): Promise<readonly string[]> {
  const names = hosts.map(({ host }) => host);
  const signal = AbortSignal.timeout(NAMES_WITHIN_MS);
  const found = await Promise.all(
    [...new Set(names)]
      .filter((name) => isIP(name) === 0)
      // A name may stand in a file of the gateway's machine only: then it has no other address.
      .map((name) => resolver.resolve(name, signal).catch(() => [])),
  );
  return [...new Set(ownAddresses([...names, ...found.flat(), connected]))];
}

/** In the usual spelling. */
function ownAddresses(names: readonly (string | undefined)[]): readonly string[] {
  return names.flatMap((name) => {
    if (name === undefined) return [];
    const usual = name.toLowerCase().replace(/\.$/, '').replace(/%.*$/, '');
    return [isIP(usual) === 0 ? usual : usualAddress(usual)];
  });
}

/**
 * Addresses for the target to dial, in this order, after the destination itself was allowed.
 * @throws HoopError with the refusal's code; HOOP_TARGET_UNREACHABLE when there is no such name
 */
export async function forwardAddresses(options: {
  readonly destination: ForwardDestination;
  readonly grant: Grant;
  /** Login on the target. */
  readonly user: string;
  readonly own?: OwnPlaces;
  readonly resolver: NameResolver;
  readonly signal: AbortSignal;
}): Promise<readonly string[]> {
  const { destination, grant, user, own = NOWHERE, resolver, signal } = options;
  const { host } = destination;
  if (isIP(host) !== 0) {
    return [host];
  }
  // RFC 6761 §6.3: never a question for a name server.
  const isLocal = host === 'localhost' || host.endsWith('.localhost');
  const answers = isLocal ? ['127.0.0.1'] : await resolver.resolve(host, signal);
  const addresses = answers.filter((address) => isIP(address) !== 0).map(usualAddress);
  if (addresses.length === 0) {
    throw new HoopError('HOOP_TARGET_UNREACHABLE', `the gateway finds no address of "${host}"`, {
      hint: 'Write the full name, with its domain, or the address.',
    });
  }
  for (const address of addresses) {
    const refusal = refusedAddress(grant, user, { address, destination, own });
    if (refusal !== undefined) {
      // One is enough: names that mix such addresses with others are made to get around rules.
      throw new HoopError(refusal.code, `"${host}" resolves to ${address}: ${refusal.message}`, {
        detail: refusal.detail,
        hint: refusal.hint,
      });
    }
  }
  return addresses;
}

/**
 * Who owns a name says where it leads. To what is near the server it may lead only if the policy
 * would allow that address by itself; to the server's own address also if a rule names the name.
 */
export function refusedAddress(
  grant: Grant,
  user: string,
  options: {
    readonly address: string;
    readonly destination: ForwardDestination;
    readonly own: OwnPlaces;
  },
): Refusal | undefined {
  const { address, destination, own } = options;
  const { host, port } = destination;
  const isServer = own.has(address);
  const refusal = deniedAddress(grant, user, { host: address, port, isServer });
  const isNear = classifyAddress(address).type === 'never';
  if (refusal !== undefined || (!isServer && !isNear)) {
    return refusal;
  }
  const asked = isNear ? [address] : [address, host];
  const verdicts = asked.map((one) =>
    decideSsh(grant, user, { kind: 'forward', host: one, port, isServer }),
  );
  const [first] = verdicts;
  const isAllowed = verdicts.some(({ effect }) => effect === 'allow');
  return isAllowed || first?.effect !== 'refuse' ? undefined : first.refusal;
}

/** ::FFFF:7F00:1 → 127.0.0.1, 2001:DB8:0::1 → 2001:db8::1. @throws HoopError for a zone */
function usualAddress(address: string): string {
  if (isIP(address) === 4) {
    return address;
  }
  if (address.includes('%')) {
    throw refused('an address with a zone means something different on every machine');
  }
  const usual = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(usual);
  if (mapped === null) {
    return usual;
  }
  const [high, low] = [mapped[1], mapped[2]].map((part) => Number.parseInt(part ?? '', 16));
  const bytes = Uint16Array.of(high ?? 0, low ?? 0);
  return [...bytes].flatMap((word) => [word >> 8, word & 0xff]).join('.');
}

function refused(message: string): HoopError {
  return new HoopError('HOOP_NOT_ALLOWED', message);
}
