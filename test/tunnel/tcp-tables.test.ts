import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TcpTables } from '../../src/tunnel/tcp-tables.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid';
const FIRST = '0100007F:1538 0100007F:B735';
const SECOND = '0100007F:1538 0100007F:B736';
const row = (addresses: string, uid: number) =>
  `   1: ${addresses} 01 00000000:00000000 00:00000000 00000000  ${uid}        0 1234 1 0 20 4`;
const uidOf = (text: string) => Number(text.trim().split(/\s+/)[7]);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-tables-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** As the kernel writes it. */
function table(name: string, rows: readonly string[]): string {
  const file = join(directory, name);
  writeFileSync(file, `${[HEADER, ...rows].join('\n')}\n`);
  return file;
}

describe("Linux's tables of connections", () => {
  test('answer by the addresses, and nothing for a connection that is in none', async () => {
    const tables = new TcpTables<number>([
      table('tcp', [row(FIRST, 1000), row(SECOND, 1001)]),
      table('tcp6', []),
    ]);
    const answers = [FIRST, SECOND, '0100007F:1538 0100007F:B737'].map((addresses) =>
      tables.ask({ addresses: [addresses], answer: uidOf }),
    );
    expect(await Promise.all(answers)).toEqual([1000, 1001, undefined]);
  });

  test('are asked for a row that the first reading cuts in two, and for one of the second table', async () => {
    const many = Array.from({ length: 2000 }, (_, index) =>
      row(`0100007F:1538 0200007F:${index.toString(16).padStart(4, '0')}`, index),
    );
    const tables = [table('many', many), table('other', [row(SECOND, 7)])];
    const asked = new TcpTables<number>(tables);
    const answers = Array.from({ length: 2000 }, (_, index) =>
      asked.ask({
        addresses: [`0100007F:1538 0200007F:${index.toString(16).padStart(4, '0')}`],
        answer: uidOf,
      }),
    );
    const last = asked.ask({ addresses: [FIRST, SECOND], answer: uidOf });
    expect(await Promise.all(answers)).toEqual(many.map((_, index) => index));
    expect(await last).toBe(7);
    let rows = 0;
    for await (const some of asked.rows()) {
      rows += some.length;
    }
    expect(rows).toBe(many.length + 3);
  });

  test('go on behind a row that is no answer: the same addresses may stand there twice', async () => {
    const tables = new TcpTables<number>([table('twice', [row(FIRST, 0), row(FIRST, 1000)])]);
    const answer = (text: string) => uidOf(text) || undefined;
    const same = [1, 2, 3].map(() => tables.ask({ addresses: [FIRST], answer }));
    expect(await Promise.all(same)).toEqual([1000, 1000, 1000]);
  });

  test('are read again for who asks while they are read: a new connection may be behind that place', async () => {
    const many = Array.from({ length: 2000 }, () => row(SECOND, 1));
    const file = table('again', [row(FIRST, 1000), ...many]);
    // A turn of its own for each piece.
    const tables = new TcpTables<number>([file], 0);
    const before = tables.ask({ addresses: ['0100007F:1538 0100007F:0001'], answer: uidOf });
    await nextTurn();
    await nextTurn();
    const meanwhile = tables.ask({ addresses: [FIRST], answer: uidOf });
    expect(await before).toBeUndefined();
    expect(await meanwhile).toBe(1000);
  });

  test('are read once for all who ask in one turn, and no further than somebody asks for', async () => {
    const many = Array.from({ length: 2000 }, () => row(SECOND, 1));
    const tables = new TcpTables<number>([table('once', [row(FIRST, 1000), ...many])]);
    const read = vi.spyOn(tables, 'rows');
    const pieces: number[] = [];
    read.mockImplementation(async function* () {
      for await (const rows of TcpTables.prototype.rows.call(tables)) {
        pieces.push(rows.length);
        yield rows;
      }
    });
    const same = [1, 2, 3].map(() => tables.ask({ addresses: [FIRST], answer: uidOf }));
    expect(await Promise.all(same)).toEqual([1000, 1000, 1000]);
    expect(read).toHaveBeenCalledTimes(1);
    expect(pieces).toHaveLength(1);
  });

  test('show what is there when they are asked, though they stay open', async () => {
    const file = table('open', [row(FIRST, 1000)]);
    const tables = new TcpTables<number>([file]);
    tables.open();
    writeFileSync(file, `${HEADER}\n${row(FIRST, 1001)}\n`);
    expect(await tables.ask({ addresses: [FIRST], answer: uidOf })).toBe(1001);
    writeFileSync(file, `${HEADER}\n`);
    // Nor does it depend on what could be opened now.
    rmSync(file);
    expect(await tables.ask({ addresses: [FIRST], answer: uidOf })).toBeUndefined();
  });

  test('that cannot be read are a fault, and not tables without rows', async () => {
    const tables = new TcpTables<number>([directory]);
    const asked = tables.ask({ addresses: [FIRST], answer: uidOf });
    await expect(asked).rejects.toThrow('EISDIR');
  });

  test('that are not there, as on other systems, have no rows', async () => {
    const tables = new TcpTables<number>([join(directory, 'none')]);
    expect(await tables.ask({ addresses: [FIRST], answer: uidOf })).toBeUndefined();
  });

  test('answer the next question after a fault in the one before', async () => {
    const tables = new TcpTables<number>([table('fault', [row(FIRST, 1000)])]);
    const fails = tables.ask({
      addresses: [FIRST],
      answer: () => {
        throw new Error('not such a row');
      },
    });
    await expect(fails).rejects.toThrow('not such a row');
    expect(await tables.ask({ addresses: [FIRST], answer: uidOf })).toBe(1000);
  });
});
