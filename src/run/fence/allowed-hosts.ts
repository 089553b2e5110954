/** The list of hosts that a fenced child may reach, beside its targets: `--fence-allow`. */
import { isIP } from 'node:net';
import { HoopError } from '../../errors.ts';
import { classifyAddress, isInside } from '../../policy/address-class.ts';

const DEFAULT_PORT = 443;
/** Labels of letters, digits and hyphens; an underscore occurs in names of services. */
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

export type AllowedHost =
  /** `isWildcard`: all names below it, and not itself. */
  | {
      readonly type: 'name';
      readonly name: string;
      readonly isWildcard: boolean;
      readonly port: number;
    }
  | {
      readonly type: 'network';
      readonly network: string;
      readonly prefix: number;
      readonly port: number;
    };

/**
 * `HOST`, `HOST:PORT`, `*.DOMAIN`, an address or a network, `[IPv6]:PORT`. The port is 443 unless
 * it is given.
 * @throws HoopError HOOP_USAGE
 */
export function parseAllowedHost(text: string): AllowedHost {
  const match = /^(?:\[(?<literal>[^\]]+)\]|(?<host>[^:]+))(?::(?<port>\d{1,5}))?$/.exec(
    text.trim(),
  );
  // An IPv6 address without brackets has no port.
  const host = match?.groups?.['literal'] ?? match?.groups?.['host'] ?? text.trim();
  const port = Number(match?.groups?.['port'] ?? DEFAULT_PORT);
  const [address = '', bits] = host.split('/');
  const version = isIP(address);
  if (port < 1 || port > 65_535) {
    throw wrong(text, 'A port must be a number from 1 to 65535.');
  }
  if (version !== 0) {
    const longest = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? longest : Number(bits);
    if (!(bits === undefined || /^\d{1,3}$/.test(bits)) || prefix > longest) {
      throw wrong(text, 'After the slash comes the number of network bits.');
    }
    return { type: 'network', network: address, prefix, port };
  }
  const isWildcard = host.startsWith('*.');
  const name = normalizeName(isWildcard ? host.slice(2) : host);
  if (name === undefined || (isWildcard && !name.includes('.'))) {
    throw wrong(text, 'Give a host name, *.DOMAIN, an address or a network.');
  }
  return { type: 'name', name, isWildcard, port };
}

/** Lower case, without the dot at the end; undefined: no host name. */
export function normalizeName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  return HOST_NAME.test(name) && !looksLikeAddress(name) ? name : undefined;
}

/** `2130706433` and `0x7f.1` are 127.0.0.1 to a resolver: numbers are no names here. */
function looksLikeAddress(name: string): boolean {
  return /^(\d+|0x[0-9a-f]*)$/.test(name.split('.').at(-1) ?? '');
}

export function isNameAllowed(list: readonly AllowedHost[], name: string, port: number): boolean {
  return list.some(
    (entry) =>
      entry.type === 'name' &&
      entry.port === port &&
      (entry.isWildcard ? name.endsWith(`.${entry.name}`) : name === entry.name),
  );
}

/** Whether the list names the address itself, or a network around it. */
export function isAddressAllowed(
  list: readonly AllowedHost[],
  address: string,
  port: number,
): boolean {
  return list.some(
    (entry) =>
      entry.type === 'network' &&
      entry.port === port &&
      isInside(address, entry.network, entry.prefix),
  );
}

/**
 * Why a connection to this address is refused, though its name is allowed (or it was asked for
 * itself); undefined: it is not.
 */
export function refusalOf(
  list: readonly AllowedHost[],
  { address, port, own }: { address: string; port: number; own: readonly string[] },
): string | undefined {
  const found = classifyAddress(address, own);
  switch (found.type) {
    case 'public':
      return undefined;
    case 'private':
      return isAddressAllowed(list, address, port)
        ? undefined
        : 'a private address, which must be allowed explicitly';
    case 'never':
      return found.because;
  }
}

function wrong(text: string, detail: string): HoopError {
  return new HoopError('HOOP_USAGE', `"${text}" is not a host that can be allowed`, {
    detail,
    hint: 'Examples: api.example.com, pypi.org:443, *.example.com, 10.1.2.3:8443.',
  });
}
