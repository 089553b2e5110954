/**
 * Linux's tables of TCP connections, read once for all who ask at the same time. A port with a
 * thousand connections makes thousands of rows: when its clients come or go together, a reading for
 * each of them keeps the process busy for minutes.
 */
import { open } from 'node:fs/promises';

/** Java's clients use IPv6 sockets for everything, and stand in the second table. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
const READ_BYTES = 64 * 1024;

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
  #asked: Asked<T>[] = [];
  #isReading = false;

  constructor(tables: readonly string[] = TABLES) {
    this.#tables = tables;
  }

  /**
   * @returns what the first row says that is about these addresses; undefined: none is. The tables
   *   are read after the question was put: what changed before it is seen.
   */
  ask(question: TableQuestion<T>): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    this.#asked.push({ ...question, resolve, reject });
    if (!this.#isReading) {
      void this.#answerAll();
    }
    return promise;
  }

  async #answerAll(): Promise<void> {
    this.#isReading = true;
    while (this.#asked.length > 0) {
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
    for await (const rows of readTables(this.#tables)) {
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

/** All rows, some at a time: a busy machine has tens of thousands. */
export async function* readTables(tables: readonly string[] = TABLES): AsyncGenerator<string[]> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (const table of tables) {
    try {
      await using file = await open(table);
      let begun = '';
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
        if (bytesRead === 0) {
          break;
        }
        const rows = (begun + buffer.toString('latin1', 0, bytesRead)).split('\n');
        begun = rows.pop() ?? '';
        yield rows;
      }
    } catch (error) {
      // No such table: no IPv6, or not Linux.
      if (!(error instanceof Error && 'code' in error)) {
        throw error;
      }
    }
  }
}

/** `  12: 0100007F:1538 0100007F:B735 01 …`: what stands between the number and the state. */
function addressesOf(row: string): string {
  const start = row.indexOf(': ') + 2;
  return row.slice(start, row.indexOf(' ', row.indexOf(' ', start) + 1));
}
