/** Whom a block means when one human has several accounts. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Blocks } from '../../../src/gateway/blocks/blocks.ts';
import { blockText } from '../../../src/gateway/identity/block.ts';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';

const ISSUER = 'https://idp.example';

function person(sub: string, more: Partial<Principal> = {}): Principal {
  return {
    kind: 'person',
    issuer: ISSUER,
    sub,
    name: sub,
    email: undefined,
    groups: [],
    roles: [],
    ...more,
  };
}

const ada = person('ada', { roles: ['approver'], verifiedEmail: 'ada@example.org' });

let directory: string;
let index: IndexStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-blocks-'));
  index = IndexStore.open(join(directory, 'index.sqlite'));
});
afterEach(() => {
  index[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function start(): Promise<Blocks> {
  const { log } = collectLog();
  return Blocks.open({
    events: NO_EVENTS,
    store: index.store,
    agents: () => new Set(),
    clock: Date.now,
    log,
  });
}

test('keeps out the same human under the sub of another client, also after a restart', async () => {
  const blocks = await start();
  const bo = person('bo', { subject: 'oid-1', verifiedEmail: 'bo@example.org', loginKey: 'k' });
  const made = await blocks.add(ada, { v: 1, who: 'bo', reason: 'INC-1' }, [bo, ada]);
  await blocks.keep(made);
  expect(blocks.view(made).subjects).toEqual([{ issuer: ISSUER, sub: 'bo' }]);
  for (const now of [blocks, await start()]) {
    expect(now.find(person('other', { subject: 'oid-1' }))?.id).toBe(made.id);
    const elsewhere = { issuer: 'https://console.example', verifiedEmail: 'BO@example.org' };
    expect(now.find(person('bo-console', elsewhere))?.id).toBe(made.id);
    // Others: a subject of another provider, an address that nobody has checked, a shared machine.
    expect(
      now.find(person('x', { issuer: 'https://b.example', subject: 'oid-1' })),
    ).toBeUndefined();
    expect(now.find(person('y', { email: 'bo@example.org', loginKey: 'k' }))).toBeUndefined();
    expect(now.find(ada)).toBeUndefined();
  }
});

test('knows the accounts of whoever has had a session under the name', async () => {
  index.database.exec(
    `INSERT INTO sessions (id, state, target, kind, principal_kind, issuer, sub, name, subject,
       verified_email, family, policy_commit, recording, client_version, started_ms, expires_ms)
     VALUES ('s', 'uploaded', 't', 'postgres', 'person', '${ISSUER}', 'bo', 'Bo', 'oid-1',
       'bo@example.org', 'f', 'c', 'r', 'v', 1, 2)`,
  );
  const blocks = await start();
  await blocks.add(ada, { v: 1, who: 'bo', reason: 'INC-1' }, [ada]);
  expect(blocks.find(person('other', { subject: 'oid-1' }))).toBeDefined();
  expect(blocks.find(person('more', { verifiedEmail: 'bo@example.org' }))).toBeDefined();
  expect(blocks.find(person('carol', { subject: 'oid-2' }))).toBeUndefined();
});

test('who is blocked does not lift it as the other account', async () => {
  const blocks = await start();
  const bo = person('bo', { roles: ['approver'], subject: 'oid-1' });
  const { id } = await blocks.add(ada, { v: 1, who: 'bo', reason: 'INC-1' }, [bo]);
  const device = person('bo-2', { roles: ['approver'], subject: 'oid-1' });
  await expect(blocks.lift(device, id)).rejects.toThrow('you cannot lift a block on yourself');
});

test('reason and name are no escape sequences in the terminal of whoever is kept out', async () => {
  const hostile = person('eve', { name: 'eve\u001b[2J', roles: ['approver'] });
  const blocks = await start();
  const bo = person('bo');
  const block = await blocks.add(hostile, { v: 1, who: 'bo', reason: 'first\n\u009b2Jsecond' }, [
    bo,
  ]);
  const said: string[] = [blockText(block)];
  try {
    blocks.require(bo);
  } catch (error) {
    said.push(String((error as { detail?: string }).detail));
  }
  expect(said).toHaveLength(2);
  for (const text of said) {
    expect(text).not.toMatch(/\p{Cc}/u);
    expect(text).toMatch(/eve \[2J.*first 2Jsecond/);
  }
});
