/**
 * Which user of this machine a TCP connection comes from, as Linux shows it in /proc/net/tcp:
 * https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html. It is a second gate before
 * the password, for the connections of other users. (A unix socket has its 0700 directory; Node
 * cannot ask SO_PEERCRED.) And it shows whether anybody still holds an end (half-close.ts).
 */
import { isIPv4, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { TcpTables } from './tcp-tables.ts';

const LISTEN = '0A';
/**
 * ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING: both ends have agreed to the
 * connection, and no second one can have the same two addresses. One that only tries to connect
 * (SYN_SENT) can stand beside it: from a socket that is bound to an interface and one that is not.
 */
const AGREED: readonly unknown[] = ['01', '04', '05', '08', '09', '0B'];
/** The kernel gives the table out in pieces; a row can slip between two of them. */
const ATTEMPTS = 3;
const owners = new TcpTables<number>();

export interface TcpEnds {
  /** IPv4 address and port of the end whose owner is asked for. */
  readonly near: readonly [string, number];
  readonly far: readonly [string, number];
}

/** @returns the uid; undefined: there is no such connection, or nobody holds its end any more. */
export async function peerUid(ends: TcpEnds): Promise<number | undefined> {
  const addresses = addressesOf(ends);
  const question = { addresses, answer: (row: string) => ownerOf(row, addresses) };
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const uid = await owners.ask(question);
    if (uid !== undefined) {
      return uid;
    }
  }
  return undefined;
}

/** Call it before anybody can connect. @throws what the system says: too many open files */
export function openPeerTables(): void {
  owners.open();
}

/**
 * Whether the tables can be relied on here: they show our own listening socket as ours. Not so on
 * other systems, without /proc, and in sandboxes that have only some of it.
 * @throws what the system says when they are there and cannot be read
 */
export async function canTellPeers(host: string, port: number): Promise<boolean> {
  const own = process.getuid?.();
  const entry = tableEntry(host, port);
  for await (const rows of owners.rows()) {
    for (const row of rows) {
      const [, local, , state] = fields(row);
      if (state === LISTEN && local === entry) {
        return uidOf(row) === own;
      }
    }
  }
  return false;
}

/** The ends of an accepted connection, from the peer's side. */
export function endsOf(socket: Socket): TcpEnds | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return remoteAddress === undefined ||
    remotePort === undefined ||
    localAddress === undefined ||
    localPort === undefined
    ? undefined
    : { near: [remoteAddress, remotePort], far: [localAddress, localPort] };
}

/**
 * @param addresses of `addressesOf`
 * @returns the uid of a row of /proc/net/tcp or tcp6, if it is about this end of the connection.
 */
export function ownerOf(row: string, addresses: readonly string[]): number | undefined {
  const [, local, remote, state, , , , , , inode] = fields(row);
  const isIt = addresses.includes(`${local} ${remote}`);
  // Nobody's socket any more: the kernel shows it as root's.
  const isOrphan = inode === '0';
  return isIt && AGREED.includes(state) && !isOrphan ? uidOf(row) : undefined;
}

/** As rows of either table have them: the near end, a space, the far one. */
export function addressesOf({ near, far }: TcpEnds): readonly string[] {
  return [tableEntry, mappedEntry].map((entry) => `${entry(...near)} ${entry(...far)}`);
}

/** sl, local_address, rem_address, st, queues, timer, retrnsmt, uid, timeout, inode, … */
function fields(row: string): string[] {
  return row.trim().split(/\s+/);
}

function uidOf(row: string): number | undefined {
  const uid = fields(row)[7];
  return uid !== undefined && /^\d{1,10}$/.test(uid) ? Number(uid) : undefined;
}

/** `0100007F:1538`: the address as the number that the processor makes of its bytes. */
function tableEntry(host: string, port: number): string {
  const bytes = isIPv4(host) ? host.split('.').map(Number) : [];
  const ordered = endianness() === 'LE' ? bytes.toReversed() : bytes;
  return `${hex(ordered)}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** ::ffff:127.0.0.1, word by word. */
function mappedEntry(host: string, port: number): string {
  const marker = endianness() === 'LE' ? 'FFFF0000' : '0000FFFF';
  return `${'0'.repeat(16)}${marker}${tableEntry(host, port)}`;
}

function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}
