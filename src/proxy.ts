/**
 * Which proxy leads to an address: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, read as curl
 * reads them (https://everything.curl.dev/usingcurl/proxies/env.html). Lower case comes first.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { HoopError } from './errors.ts';

export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** TLS to the proxy itself. */
  readonly isSecure: boolean;
  /** `Basic …`; never shown. */
  readonly authorization: string | undefined;
  /** For people, without the login. */
  readonly shown: string;
  /** The variable that names it. */
  readonly variable: string;
}

/**
 * @returns undefined: the address is reached directly
 * @throws HoopError HOOP_CONFIG the variable names no HTTP proxy
 */
export function proxyFor(address: string | URL, env: NodeJS.ProcessEnv): HttpProxy | undefined {
  const { protocol, hostname, port } = new URL(address);
  const isSecure = protocol === 'https:' || protocol === 'wss:';
  const host = bare(hostname);
  // A fence has a proxy of its own, which is the child's. What runs on this machine without TLS is
  // meant for this machine.
  if (env['HOOP_FENCE'] || (!isSecure && isLoopback(host))) {
    return undefined;
  }
  const found = firstSet(env, isSecure ? HTTPS : HTTP);
  if (found === undefined) {
    return undefined;
  }
  const noProxy = firstSet(env, ['no_proxy', 'NO_PROXY'])?.value ?? '';
  return isExcepted(host, Number(port || (isSecure ? 443 : 80)), noProxy)
    ? undefined
    : parseProxy(found);
}

const HTTPS = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
const HTTP = ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'];

interface Variable {
  readonly name: string;
  readonly value: string;
}

/** One that is set to nothing counts as well: that is how people turn a proxy off. */
function firstSet(env: NodeJS.ProcessEnv, names: readonly string[]): Variable | undefined {
  for (const name of names) {
    const value = env[name]?.trim();
    if (value !== undefined) {
      return value === '' ? undefined : { name, value };
    }
  }
  return undefined;
}

function parseProxy({ name, value }: Variable): HttpProxy {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === null || !isHttp || url.hostname === '') {
    // The value may hold a password.
    const scheme = url !== null && !isHttp ? ` but a ${url.protocol.replace(':', '')} proxy` : '';
    throw new HoopError('HOOP_CONFIG', `${name} names no HTTP proxy${scheme}`, {
      hint: 'hoop uses proxies that know CONNECT: http://HOST:PORT or https://HOST:PORT. Set NO_PROXY to reach the address directly.',
    });
  }
  const isSecure = url.protocol === 'https:';
  const host = bare(url.hostname);
  const port = Number(url.port || (isSecure ? 443 : 80));
  const login = `${decoded(url.username)}:${decoded(url.password)}`;
  return {
    host,
    port,
    isSecure,
    authorization:
      login === ':' ? undefined : `Basic ${Buffer.from(login, 'utf8').toString('base64')}`,
    shown: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
    variable: name,
  };
}

/** A stray % in a password is itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether an entry of NO_PROXY is about the host: `*`, a domain with all below it, an address, a network. */
function isExcepted(host: string, port: number, noProxy: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && matches(entry, name, port));
}

function matches(entry: string, name: string, port: number): boolean {
  if (entry === '*') {
    return true;
  }
  const [, bracketed, plain = '', wantedPort] =
    /^(?:\[([^\]]*)\]|(.*?))(?::(\d{1,5}))?$/.exec(entry) ?? [];
  const isAddress = bracketed === undefined && isIP(entry) === 6;
  if (wantedPort !== undefined && !isAddress && Number(wantedPort) !== port) {
    return false;
  }
  const wanted = isAddress ? entry : (bracketed ?? plain);
  if (isIP(name) !== 0) {
    return isInNetwork(name, wanted);
  }
  const domain = wanted.replace(/^\*?\./, '').replace(/\.$/, '');
  return domain !== '' && (name === domain || name.endsWith(`.${domain}`));
}

function isInNetwork(address: string, wanted: string): boolean {
  const [network = '', bits] = wanted.split('/');
  const family = isIP(network);
  if (family === 0 || family !== isIP(address)) {
    return false;
  }
  const most = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? most : Number(bits);
  if (bits === '' || !Number.isInteger(prefix) || prefix < 0 || prefix > most) {
    return false;
  }
  const type = isIPv4(address) ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, prefix, type);
  return list.check(address, type);
}

function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    (isIP(host) !== 0 && (isInNetwork(host, '127.0.0.0/8') || isInNetwork(host, '::1')))
  );
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
