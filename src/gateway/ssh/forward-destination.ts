/**
 * Where `ssh -L` leads to. The name is resolved here and the target is asked to dial the address: a
 * name that the target resolves could be another one than what the policy meant, and may change
 * between the decision and the dialling. Nothing is ever dialled by the gateway itself.
 */
import { BlockList, isIP } from 'node:net';
import { HoopError } from '../../errors.ts';
import { deniedAddress } from '../../policy/ssh/decide-forward.ts';
import { decideSsh } from '../../policy/ssh/decide-ssh.ts';
import type { Grant, Refusal } from '../../policy/types.ts';
import type { NameResolver } from './name-resolver.ts';

export interface ForwardDestination {
  /** Lower case, without the dot at the end; an address in the usual spelling. */
  readonly host: string;
  readonly port: number;
}

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** RFC 1035 §2.3.4, without the root. */
const MAX_NAME_LENGTH = 253;

/**
 * What the client asked for, if it can be told what that is.
 * @throws HoopError HOOP_NOT_ALLOWED
 */
export function forwardDestination(host: string, port: number): ForwardDestination {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw refused(`port ${port} cannot be forwarded to`);
  }
  const name = host.toLowerCase().replace(/\.$/, '');
  if (isIP(name) !== 0) {
    return { host: usualAddress(name), port };
  }
  const labels = name.split('.');
  // inet_aton takes 127.1, 0x7f.1 and 2130706433 for addresses, and 010.0.0.1 for another one than
  // it looks like; no top level domain is a number (RFC 3696 §2).
  const looksNumeric = /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '');
  if (name.length > MAX_NAME_LENGTH || looksNumeric || !labels.every((one) => LABEL.test(one))) {
    throw refused('the destination of this forward is neither a host name nor an address');
  }
  return { host: name, port };
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
  readonly resolver: NameResolver;
  readonly signal: AbortSignal;
}): Promise<readonly string[]> {
  const { destination, grant, user, resolver, signal } = options;
  const { host, port } = destination;
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
    const refusal = refusedAddress(grant, user, { address, port });
    if (refusal !== undefined) {
      // One is enough: names that mix such addresses with others are made to get around rules.
      throw new HoopError(refusal.code, `"${host}" leads to ${address}: ${refusal.message}`, {
        detail: refusal.detail,
        hint: refusal.hint,
      });
    }
  }
  return addresses;
}

/**
 * Who owns a name says where it leads. To the target itself, or to what only its network card sees,
 * it may lead only if the policy would allow that address by itself.
 */
export function refusedAddress(
  grant: Grant,
  user: string,
  { address, port }: { readonly address: string; readonly port: number },
): Refusal | undefined {
  const refusal = deniedAddress(grant, user, { host: address, port });
  if (refusal !== undefined || !isSpecial(address)) {
    return refusal;
  }
  const verdict = decideSsh(grant, user, { kind: 'forward', host: address, port });
  return verdict.effect === 'refuse' ? verdict.refusal : undefined;
}

/** RFC 6890, of it what is near: this host, loopback, link-local, and no single host at all. */
const SPECIAL = new BlockList();
SPECIAL.addSubnet('0.0.0.0', 8, 'ipv4');
SPECIAL.addSubnet('127.0.0.0', 8, 'ipv4');
SPECIAL.addSubnet('169.254.0.0', 16, 'ipv4');
SPECIAL.addSubnet('224.0.0.0', 4, 'ipv4');
SPECIAL.addSubnet('240.0.0.0', 4, 'ipv4');
SPECIAL.addAddress('::', 'ipv6');
SPECIAL.addAddress('::1', 'ipv6');
SPECIAL.addSubnet('fe80::', 10, 'ipv6');
SPECIAL.addSubnet('ff00::', 8, 'ipv6');

function isSpecial(address: string): boolean {
  return SPECIAL.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** ::FFFF:7F00:1 → 127.0.0.1, 2001:DB8:0::1 → 2001:db8::1. @throws HoopError for a zone */
function usualAddress(address: string): string {
  if (isIP(address) === 4) {
    return address;
  }
  if (address.includes('%')) {
    throw refused('an address with a zone means something else on every machine');
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
