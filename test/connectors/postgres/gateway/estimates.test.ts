import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Estimates } from '../../../../src/connectors/postgres/gateway/counted/estimates.ts';
import type { ApprovalAsk } from '../../../../src/connectors/postgres/gateway/types.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { emptyCatalog } from '../policy/empty-catalog.ts';
import { targetOf } from './test-target.ts';

/** Of two statements no estimate is made, so nothing is asked of a server. */
const ASK: ApprovalAsk = {
  stream: 1,
  at: 0,
  text: 'SELECT 1; SELECT 2',
  prepared: [],
  preparedTypes: [],
  parameters: [],
  settings: [],
  analyses: [],
  decided: [],
  maxRows: undefined,
  catalog: emptyCatalog(),
  searchPath: undefined,
  role: undefined,
  inTransaction: false,
  demands: [],
  policyCommit: '',
};

test('an estimate that cannot be stored is told to the log, and ends nothing', async () => {
  const { log, events } = collectLog();
  using estimates = new Estimates(log);
  const stored = Promise.withResolvers<void>();
  estimates.estimate(
    targetOf({ port: 1, user: 'postgres', password: 'x' }),
    ASK,
    () => stored.promise,
  );
  stored.reject(new Error('the store is away'));
  // A rejection that nobody handles fails the run.
  await setImmediate();
  expect(events).toMatchObject([{ event: 'approval.estimate_failed' }]);
});
