/**
 * What people type and are shown is in the recordings, which are encrypted, and where it has to be read
 * by people: reasons. No event has any of it, nor has the store in any other place, on either driver.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditEventSchema } from '../../src/api/events.ts';
import { waitFor } from '../wait-for.ts';
import { type Bench, openBench } from './demo-bench.ts';
import { type KilledStore, openKilledStore } from './kill-store.ts';
import { formsOf } from './marker-forms.ts';
import { PlantedMarkers } from './planted-markers.ts';

/** Words of people that others have to read: in clear, and there alone. */
const IN_CLEAR: Readonly<Record<string, readonly string[]>> = {
  reason: ['sessions.reason'],
  // A request has the reason of the session that it was made in.
  'reason 2': ['approvals.reason', 'sessions.reason'],
  end: ['sessions.end_message'],
  vote: ['approval_votes.reason'],
  access: ['approvals.reason', 'temporary_grants.reason'],
  approval: ['approval_votes.reason'],
  // Whoever is kept out is told why.
  block: ['blocks.reason', 'refresh_families.revoked_because'],
  // Of a statement that was refused: the name of a table, as of any that is asked for.
  denied: ['touched_facts.name'],
};

const TABLES: Readonly<Record<string, string>> = {
  sqlite: "SELECT name FROM sqlite_master WHERE type = 'table'",
  postgres: "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
};

const parsed = (ndjson: string): Readonly<Record<string, unknown>>[] =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

describe.each(['sqlite', 'postgres'])('with a store in %s', (driver) => {
  let bench: Bench;
  let store: KilledStore;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hoop-kept-'));
    store = await openKilledStore(driver, directory);
    bench = await openBench({ gatewayConfig: store.gatewayConfig });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const dataDirectory = () => join(bench.demo.directory, 'gateway');
  const events = (...flags: string[]) =>
    bench.hoop('auditor', 'gateway', 'events', '--newest', '1000', ...flags);

  /** By `table.column`, all that is in it. */
  async function columns(): Promise<Map<string, Buffer[]>> {
    const [tables = []] = await store.read(dataDirectory(), TABLES[driver] ?? '');
    const names = tables.map(({ name }) => String(name));
    expect(names).toEqual(expect.arrayContaining(['approvals', 'audit_events', 'statements']));
    const all = await store.read(dataDirectory(), ...names.map((n) => `SELECT * FROM "${n}"`));
    const found = new Map<string, Buffer[]>();
    for (const [index, rows] of all.entries()) {
      for (const [column, value] of rows.flatMap((row) => Object.entries(row))) {
        if (value === null) continue;
        const place = `${names[index]}.${column}`;
        const bytes = value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value));
        found.set(place, [...(found.get(place) ?? []), bytes]);
      }
    }
    return found;
  }

  test('no word of anybody is in an event, or anywhere but where reasons are read', async () => {
    const planted = new PlantedMarkers(bench);
    await planted.plant();
    let lines = '';
    await waitFor(async () => {
      lines = (await events('--json')).stdout;
      expect(parsed(lines).map(({ type }) => type)).toEqual(
        expect.arrayContaining([
          ...['login', 'login.refused', 'session.begin', 'session.refused', 'session.end'],
          ...['statement.refused', 'approval.requested', 'approval.voted', 'approval.state'],
          ...['access.given', 'access.blocked', 'recording.complete', 'recording.read'],
          ...['recording.searched', ...(planted.hasServer ? ['act.refused'] : [])],
        ]),
      );
    });
    const secrets = new Map([...planted.made, ...planted.secrets()]);
    const named = (bytes: Buffer): string[] =>
      [...secrets]
        .filter(([, one]) => formsOf(one).some((form) => bytes.includes(form)))
        .map(([name]) => name);

    for (const line of parsed(lines)) AuditEventSchema.parse(line);
    expect(named(Buffer.from(lines)), 'the NDJSON').toEqual([]);
    expect(named(Buffer.from((await events()).stdout)), 'the table').toEqual([]);
    // Whoever a token names that nobody vouches for is not named.
    const logins = parsed(lines).filter(({ type }) => type === 'login.refused');
    expect(logins.length).toBeGreaterThan(0);
    for (const line of logins) expect(line).not.toHaveProperty('who');

    const places = [...(await columns())].flatMap(([place, values]) =>
      [...new Set(values.flatMap(named))].map((name) => ({ name, place })),
    );
    const inClear = [...Map.groupBy(places, ({ name }) => name)].map(([name, all]) => [
      name,
      all.map(({ place }) => place).sort(),
    ]);
    expect(Object.fromEntries(inClear)).toEqual(IN_CLEAR);
    if (driver !== 'sqlite') return;
    // Also in what no row has any more, and in what was not written to its place yet.
    for (const file of ['index.sqlite', 'index.sqlite-wal']) {
      const there = named(readFileSync(join(dataDirectory(), file)));
      expect(
        there.filter((name) => !(name in IN_CLEAR)),
        file,
      ).toEqual([]);
    }
  });
});
