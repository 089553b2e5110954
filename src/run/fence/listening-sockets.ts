/**
 * Unix sockets that somebody on this machine has bound to a path now: an agent's, a database's, a
 * container engine's. Whoever sees the path can connect, read-only mount or not.
 * https://www.kernel.org/doc/html/latest/filesystems/proc.html (/proc/net/unix)
 */
import { readFileSync } from 'node:fs';

/** Num, RefCount, Protocol, Flags, Type, St, Inode, Path. A path may hold blanks. */
const ROW = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ +\d+ (\/.*)$/;

/** Absolute paths; abstract sockets (`@…`) belong to the network namespace. */
export function listeningSockets(): readonly string[] {
  return pathsIn(readFileSync('/proc/net/unix', 'utf8'));
}

/** @param table text of /proc/net/unix */
export function pathsIn(table: string): readonly string[] {
  const paths = table.split('\n').flatMap((line) => ROW.exec(line)?.[1] ?? []);
  return [...new Set(paths)];
}
