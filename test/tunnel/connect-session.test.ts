import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openGateway } from '../../src/auth/open-gateway.ts';
import { CONNECTORS } from '../../src/connectors/registry.ts';
import { openJournal } from '../../src/recording/client/open-journal.ts';
import { spoolDirectory } from '../../src/recording/client/spool.ts';
import { connectSession } from '../../src/tunnel/connect-session.ts';
import { spoolsOf } from '../../src/tunnel/spools-of.ts';
import { startGatewayBench } from '../gateway/gateway-bench.ts';

test('what the gateway says is journalled before anybody is shown it', async () => {
  await using bench = await startGatewayBench({ isPolicyFixed: true });
  await bench.client('engineer');
  const env = bench.environment('engineer');
  await using open = await openGateway({ env });
  const shown = Promise.withResolvers<string>();
  const spools = join(bench.directory, 'as-it-was');
  const session = await connectSession({
    open,
    target: 'prod-db',
    reason: 'to see it written',
    listen: { type: 'tcp', port: 0, connectors: CONNECTORS },
    version: '0.0.0-test',
    env,
    carrier: 'auto',
    signal: bench.signal,
    events: {
      onEvidence: (line) => {
        cpSync(spoolsOf(open.home), spools, { recursive: true });
        shown.resolve(line.type);
      },
    },
  });
  expect(await shown.promise).toBe('reason');
  const directory = spoolDirectory(spools, session.id);
  const { points } = openJournal(directory, session.id);
  const [control] = points.offsets();
  expect(control).toMatchObject({ stream: 0, up: 0 });
  expect(control?.down).toBeGreaterThan(20);
  await session.close();
});
