/**
 * Where a forward leads to. What is decided is the name that was asked for; addresses count in
 * every spelling that a resolver takes (`0x7f.1`, `2130706433`, `::ffff:127.0.0.1`).
 */
import { carriedIPv4, classifyAddress } from '../../../policy/address-class.ts';

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

/** What is asked for, in normal form. */
export interface Asked {
  readonly host: string;
  readonly port: number;
  /** It is an address, or the name, of the very server that dials. */
  readonly isServer: boolean;
}

/**
 * Whether an allow rule's destination is this. The server itself, on whichever interface, its
 * cloud's metadata and the like (address-class.ts) are never just any host.
 */
export function leadsTo(text: string, asked: Asked): boolean {
  const { host } = asked;
  const wanted = wantedAt(text, asked);
  return (
    wanted !== undefined &&
    ((wanted.host === '*' && isAnyHost(asked)) ||
      wanted.host === host ||
      (LOOPBACK.has(wanted.host) && LOOPBACK.has(host)))
  );
}

/** Whether a deny or approve rule speaks of it: whatever reaches the same machine, too. */
export function mayLeadTo(text: string, asked: Asked): boolean {
  const { host, isServer } = asked;
  const wanted = wantedAt(text, asked);
  return (
    leadsTo(text, asked) ||
    (wanted !== undefined &&
      (wanted.host === '*' ||
        carriedIPv4(host).includes(wanted.host) ||
        (isItself(wanted.host) && (isServer || isItself(host)))))
  );
}

/** Whether only `*` stands in the way: the rule is for any host, and this is not any host. */
export function isTooNear(text: string, asked: Asked): boolean {
  return wantedAt(text, asked)?.host === '*' && !isAnyHost(asked);
}

function wantedAt(text: string, { port }: Asked): Destination | undefined {
  const wanted = destination(text);
  return wanted?.port === undefined || wanted.port === port ? wanted : undefined;
}

function isAnyHost({ host, isServer }: Asked): boolean {
  const isAddress = host.includes(':') || /^[\d.]+$/.test(host);
  return !isServer && !isItself(host) && !(isAddress && classifyAddress(host).type === 'never');
}

/** Reaches the machine that dials: RFC 1122 §3.2.1.3, RFC 6761 §6.3; Linux takes 0.0.0.0 so. */
function isItself(host: string): boolean {
  return (
    LOOPBACK.has(host) ||
    host.endsWith('.localhost') ||
    /^127\.\d+\.\d+\.\d+$/.test(host) ||
    host === '0.0.0.0' ||
    host === '::' ||
    carriedIPv4(host).some(isItself)
  );
}
