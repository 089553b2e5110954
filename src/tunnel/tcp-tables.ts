/**
 * Linux's tables of TCP connections, read once for all who ask at the same time, and no further than
 * to the last row that somebody asks for.
 *
 * The kernel gives 4 KiB per call whatever it is asked for, some 27 rows, and the calls are made here
 * and not in the thread pool: each costs some microseconds, and the way to a thread and back as much
 * again. A table without rows costs a walk over its buckets, 2 to 4 ms for 262,144 of them.
 *
 * What would be cheaper, asking for one connection by its ends (NETLINK_SOCK_DIAG), is out of reach:
 * Node opens no netlink sockets, and native code or a program for it would be one more thing to trust.
 */
import { openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorCode } from '../error-code.ts';

/** Java's clients use IPv6 sockets for everything, and stand in the second table. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
const READ_BYTES = 64 * 1024;
/** A busy machine has tens of thousands of rows: others get their turn in between. */
const SLICE_MS = 1;
/** No such table: not Linux, no IPv6, a sandbox without it. Anything else is a fault. */
const ABSENT: readonly unknown[] = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'];

export interface TableQuestion<T> {
  /** The two addresses of the row, as the tables write them: local, a space, remote. Any of these. */
  readonly addresses: readonly string[];
  /** @returns undefined: not this row. */
  readonly answer: (row: string) => T | undefined;
}

interface Asked<T> extends TableQuestion<T> {
  readonly resolve: (answer: T | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

export class TcpTables<T> {
  readonly #tables: readonly string[];
  readonly #sliceMs: number;
  #files: readonly number[] | undefined;
  #asked: Asked<T>[] = [];
  #isReading = false;

  /** The parameters are for tests. */
  constructor(tables: readonly string[] = TABLES, sliceMs = SLICE_MS) {
    this.#tables = tables;
    this.#sliceMs = sliceMs;
  }

  /**
   * Opens the tables, for good: so nobody can use up this process's files and thereby make them
   * unreadable. They are those of the network that this process is in now.
   * @throws what the system says, unless it is that there is no such table
   */
  open(): readonly number[] {
    this.#files ??= this.#tables.flatMap((table) => openTable(table));
    return this.#files;
  }

  /**
   * @returns what the first row says that is about these addresses; undefined: none is. The tables
   *   are read after the question was put: what changed before it is seen.
   * @throws what the system says when they cannot be read
   */
  ask(question: TableQuestion<T>): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    this.#asked.push({ ...question, resolve, reject });
    if (!this.#isReading) {
      void this.#answerAll();
    }
    return promise;
  }

  /** All rows, some at a time. */
  async *rows(): AsyncGenerator<string[]> {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let since = performance.now();
    for (const file of this.open()) {
      let begun = '';
      let at = 0;
      // From the first row on, in the state of this moment.
      for (let length = 0; ; at += length) {
        length = readSync(file, buffer, 0, READ_BYTES, at);
        if (length === 0) {
          break;
        }
        const rows = (begun + buffer.toString('latin1', 0, length)).split('\n');
        begun = rows.pop() ?? '';
        yield rows;
        if (performance.now() - since >= this.#sliceMs) {
          await nextTurn();
          since = performance.now();
        }
      }
    }
  }

  async #answerAll(): Promise<void> {
    this.#isReading = true;
    while (this.#asked.length > 0) {
      // Whoever comes in this turn of the event loop is answered by the same reading.
      await nextTurn();
      const asked = this.#asked;
      this.#asked = [];
      try {
        await this.#answer(asked);
      } catch (error) {
        for (const { reject } of asked) {
          reject(error);
        }
      }
    }
    this.#isReading = false;
  }

  async #answer(asked: readonly Asked<T>[]): Promise<void> {
    const open = new Set(asked);
    const byAddresses = new Map<string, Asked<T>[]>();
    for (const one of asked) {
      for (const addresses of one.addresses) {
        const others = byAddresses.get(addresses);
        byAddresses.set(addresses, others === undefined ? [one] : [...others, one]);
      }
    }
    for await (const rows of this.rows()) {
      for (const row of rows) {
        for (const one of byAddresses.get(addressesOf(row)) ?? []) {
          const answer = one.answer(row);
          if (answer !== undefined) {
            one.resolve(answer);
            open.delete(one);
          }
        }
      }
      if (open.size === 0) {
        return;
      }
    }
    for (const { resolve } of open) {
      resolve(undefined);
    }
  }
}

function openTable(table: string): number[] {
  try {
    return [openSync(table, 'r')];
  } catch (error) {
    if (ABSENT.includes(errorCode(error))) {
      return [];
    }
    throw error;
  }
}

/** `  12: 0100007F:1538 0100007F:B735 01 …`: what stands between the number and the state. */
function addressesOf(row: string): string {
  const start = row.indexOf(': ') + 2;
  return row.slice(start, row.indexOf(' ', row.indexOf(' ', start) + 1));
}
