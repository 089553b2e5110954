/** Fingerprints of statements in the index: what is alike in constants is one, under a key that only the gateway has. */
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModule, parseSync } from 'libpg-query';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normalForm } from '../../../src/connectors/postgres/policy/parse/normal-form.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { type Store, sql } from '../../../src/gateway/store/store.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { bind, execute, parse, sync } from '../../replay/recorded-stream.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';
import { TestSession } from '../test-session.ts';

const CARD = '4539148803436467';
const ASKED = `SELECT '${CARD}' AS card`;
const FINGERPRINTS = sql(
  `SELECT fingerprint, effect FROM statements
   WHERE session = (SELECT number FROM sessions WHERE id = $id) ORDER BY stream, statement`,
);

const storesOf = testStores();
let target: EmbeddedPostgres;
beforeAll(async () => {
  target = await startTestPostgres();
});
afterAll(async () => {
  await target[Symbol.asyncDispose]();
});

type Send = (stream: Awaited<ReturnType<TestSession['openStream']>>) => Promise<unknown>;

describe.each(DRIVERS)('fingerprints in %s', (driver) => {
  let stores: TestStores;
  let store: Store;
  let bench: GatewayBench;
  beforeAll(async () => {
    stores = await storesOf(driver);
    store = await stores.open();
    bench = await startGatewayBench({ isPolicyFixed: true, target, store });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await stores[Symbol.asyncDispose]();
  });

  /** Of the statements of a session, as its gateway has them in its store. */
  async function fingerprints(of: GatewayBench, kept: Store, ...sends: Send[]): Promise<unknown[]> {
    const session = await TestSession.open(of, 'engineer');
    const stream = await session.openStream(1);
    await stream.startUp('hoop', 'postgres');
    for (const send of sends) await send(stream);
    await stream.end();
    await session.close();
    const rows = await kept.all(FINGERPRINTS, { id: session.id });
    expect(rows).toHaveLength(sends.length);
    for (const row of rows) expect(row['fingerprint']).toMatch(/^[\w-]{16}$/);
    return rows.map((row) => row['fingerprint']);
  }

  const asks =
    (text: string): Send =>
    (stream) =>
      stream.query(text);

  test('are one for other literals, comments and spelling, and for the same statement prepared', async () => {
    const prepared: Send = (stream) => {
      const bound = [parse('SELECT $1 AS card'), bind(['5105105105105100']), execute(), sync()];
      stream.send(Buffer.concat(bound));
      return stream.readUntil('Z');
    };
    const found = await fingerprints(
      ...[bench, store],
      asks(ASKED),
      asks("select 'other'   AS card /* a comment */"),
      prepared,
    );
    expect(new Set(found).size).toBe(1);
  });

  test('are others for another statement, also where both are refused', async () => {
    const found = await fingerprints(
      ...[bench, store],
      asks(ASKED),
      asks(`SELECT '${CARD}' AS number`),
      asks(`SELECT '${CARD}' AS card, 1`),
      asks('DROP TABLE orders'),
      asks('DROP TABLE customers'),
    );
    expect(new Set(found).size).toBe(found.length);
  });

  test('stay over a restart, and are others at another gateway', async () => {
    const before = await fingerprints(bench, store, asks(ASKED));
    await bench.restart();
    expect(await fingerprints(bench, store, asks(ASKED))).toEqual(before);
    await using otherStores = await storesOf(driver);
    const otherStore = await otherStores.open();
    await using other = await startGatewayBench({ isPolicyFixed: true, target, store: otherStore });
    const elsewhere = await fingerprints(other, otherStore, asks(ASKED));
    expect(elsewhere).not.toEqual(before);
  });

  test('are told by the key alone: who knows the text, and how they are made, cannot make them', async () => {
    const [found] = await fingerprints(bench, store, asks(ASKED));
    await loadModule();
    const form = normalForm(parseSync(ASKED).stmts?.[0]?.stmt ?? {});
    const made = (key: Uint8Array): string => {
      const own = new Uint8Array(hkdfSync('sha256', key, '', 'hoop/fingerprint/v1', 32));
      return createHmac('sha256', own).update(form).digest('base64url').slice(0, 16);
    };
    const key = readFileSync(join(bench.directory, 'data', 'keys', 'mask.key'));
    // So this is what the others below differ from by the key alone.
    expect(found).toBe(made(key));
    const publicKeys = ['', '\0'.repeat(32), 'test-gateway'].map((text) => Buffer.from(text));
    const guesses = [
      ...publicKeys.map(made),
      ...[ASKED, form, `SELECT ? AS card`].flatMap((text) => [
        createHash('sha256').update(text).digest('base64url').slice(0, 16),
        ...publicKeys.map((one) =>
          createHmac('sha256', one).update(text).digest('base64url').slice(0, 16),
        ),
      ]),
    ];
    expect(guesses).not.toContain(found);
    expect(form.slice(0, 16)).not.toBe(found);
  });
});
