/**
 * Where a forward leads to. What is decided is the name that was asked for; addresses count in
 * every spelling that a resolver takes (`0x7f.1`, `2130706433`, `::ffff:127.0.0.1`).
 */

export interface Destination {
  /** In normal form; `*` in a rule: any. */
  readonly host: string;
  /** undefined: any. */
  readonly port: number | undefined;
}

const NAME = /^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$/;
const IPV6 = /^[0-9A-Fa-f:.]{2,45}$/;
/** The same machine in everybody's configuration, so the same in a rule. */
const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

/** `host:port`, `host:*`, `[v6]:port`, as it stands in a rule; undefined: it is neither. */
export function destination(text: string): Destination | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\*|[0-9]{1,5})$/.exec(text);
  const written = parts?.[1] ?? parts?.[2] ?? '';
  const host = written === '*' ? '*' : normalHost(written);
  const port = parts?.[3] === '*' ? undefined : Number(parts?.[3]);
  const isPort = port === undefined || (port >= 1 && port <= 65_535);
  return host === undefined || !isPort ? undefined : { host, port };
}

/** @returns undefined when no resolver should see it. */
export function normalHost(host: string): string | undefined {
  const isV6 = host.includes(':') && IPV6.test(host);
  if (!isV6 && !NAME.test(host)) {
    return undefined;
  }
  // The URL standard reads numbers as inet_aton does: octal, hexadecimal, fewer than four.
  const url = URL.parse(`http://${isV6 ? `[${host}]` : host.replace(/\.$/, '')}/`);
  if (url === null) {
    return undefined;
  }
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(name);
  return mapped === null ? name : dotted(mapped[1] ?? '', mapped[2] ?? '');
}

function dotted(high: string, low: string): string {
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}

/**
 * Whether an allow rule's destination is this host (in normal form) and port. What a machine offers
 * to itself alone, and its cloud's metadata, are never just any host.
 */
export function leadsTo(text: string, host: string, port: number): boolean {
  const wanted = destination(text);
  if (wanted === undefined || (wanted.port !== undefined && wanted.port !== port)) {
    return false;
  }
  return (
    (wanted.host === '*' && !isItself(host) && !isLocal(host)) ||
    wanted.host === host ||
    (LOOPBACK.has(wanted.host) && LOOPBACK.has(host))
  );
}

/** Whether a deny or approve rule speaks of it: whatever reaches the same machine, too. */
export function mayLeadTo(text: string, host: string, port: number): boolean {
  const wanted = destination(text);
  return (
    leadsTo(text, host, port) ||
    (wanted !== undefined &&
      (wanted.port === undefined || wanted.port === port) &&
      (wanted.host === '*' || (isItself(wanted.host) && isItself(host))))
  );
}

/** Reaches the machine that dials: RFC 1122 §3.2.1.3, RFC 6761 §6.3; Linux takes 0.0.0.0 so. */
function isItself(host: string): boolean {
  return (
    LOOPBACK.has(host) ||
    host.endsWith('.localhost') ||
    /^127\.\d+\.\d+\.\d+$/.test(host) ||
    host === '0.0.0.0' ||
    host === '::'
  );
}

/** Link-local (169.254.169.254 tells the machine's credentials in most clouds), and multicast. */
function isLocal(host: string): boolean {
  return /^(?:169\.254\.|2(?:2[4-9]|3\d)\.\d+\.\d+\.|fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:)/.test(host);
}
