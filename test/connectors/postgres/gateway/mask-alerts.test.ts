/** Who hears that a mask names nothing: the operator in the log, people who see the target. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMaskBindings } from '../../../../src/connectors/postgres/gateway/catalog/mask-bindings-file.ts';
import { renderPolicy } from '../../../../src/ui/render-policy.ts';
import { type GatewayBench, startGatewayBench } from '../../../gateway/gateway-bench.ts';
import { testTarget } from './test-target.ts';

const { server, sql } = testTarget('CREATE TABLE customers (id int, email text)');
let bench: GatewayBench;
beforeEach(async () => {
  bench = await startGatewayBench({ isPolicyFixed: true, target: server() });
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const unresolved = () =>
  bench.log.events.filter(({ event }) => event === 'mask.unresolved').map(({ boundTo }) => boundTo);

test('masks are bound before anybody has connected, and a rename while the gateway is down is told', async () => {
  const path = join(bench.directory, 'data', 'mask-bindings.json');
  await expect.poll(() => readMaskBindings(path).length).toBe(1);
  await bench.gateway().close();
  await sql('ALTER TABLE customers RENAME COLUMN email TO mail');
  await bench.restart();
  await expect.poll(unresolved).toEqual(['public.customers.mail']);
  const engineer = await bench.client('engineer');
  const reply = await engineer.policy(bench.signal);
  const alert = {
    target: 'prod-db',
    column: 'public.customers.email',
    state: 'unresolved',
    boundTo: ['public.customers.mail'],
  };
  expect(reply.maskAlerts).toEqual([alert]);
  const shown = renderPolicy(reply, {
    commit: reply.commit,
    committedAt: new Date(0),
    signer: 'ops',
    source: 'local',
  });
  expect(shown).toContain(
    'mask      prod-db: there is no column public.customers.email; it stays masked as public.customers.mail\n',
  );
  // With the numbers gone, the name alone is left.
  await bench.gateway().close();
  await rm(path);
  await bench.restart();
  await expect.poll(unresolved).toEqual(['public.customers.mail', '']);
  await sql('ALTER TABLE customers RENAME COLUMN mail TO email');
});
