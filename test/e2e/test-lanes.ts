/** The real gateway and CLI beside their server, for one test file. */
import { afterAll, beforeAll, expect } from 'vitest';
import { type Lanes, openLanes } from '../../conformance/protocol/lanes.ts';
import { logInDemo } from '../log-in-demo.ts';
import { demoTemplate } from '../postgres-template.ts';

/** What a backend waits for: asleep within a statement, for what the client sends. */
type WaitEvent = 'PgSleep' | 'ClientRead';

export interface TestLanes {
  readonly lanes: () => Lanes;
  /**
   * The backend is that far. That it is `active` says little: it is before it has read the statement,
   * and what it is told then comes before the columns of the result.
   */
  readonly untilActive: (processId: number, waitEvent: WaitEvent) => Promise<void>;
}

export function testLanes(): TestLanes {
  let opened: Lanes | undefined;
  beforeAll(async () => {
    opened = await openLanes({
      template: await demoTemplate(),
      logIn: logInDemo,
      signal: new AbortController().signal,
    });
  });
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });
  const lanes = (): Lanes => {
    if (opened === undefined) throw new Error('the lanes are not open yet');
    return opened;
  };
  return {
    lanes,
    async untilActive(processId, waitEvent) {
      const state = `SELECT 1 FROM pg_stat_activity
        WHERE pid = ${processId} AND state = 'active' AND wait_event = '${waitEvent}'`;
      await expect.poll(() => lanes().admin(state), { interval: 20 }).toHaveLength(1);
    },
  };
}
