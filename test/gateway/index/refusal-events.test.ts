import { expect, test } from 'vitest';
import { countedRefusals, RefusalLimit } from '../../../src/gateway/index/refusal-events.ts';
import type { RecordingEvent } from '../../../src/recording/formats/types.ts';

function refused(statement: number, policyCommit: string): RecordingEvent & { type: 'decision' } {
  return {
    ...{ type: 'decision', stream: 1, at: 10, statement, effect: 'refuse', policyCommit },
    ...{ verbs: ['drop'], relations: [], columnsMasked: [], rules: [] },
    ...{ code: 'HOOP_DENIED', message: undefined },
  };
}

test('refusals by two commits of the policy are two counts', () => {
  const limit = new RefusalLimit(() => 0);
  for (let one = 1; one <= 30; one += 1) limit.take('s', refused(one, one <= 25 ? 'old' : 'new'));
  const facts = { who: { issuer: 'i', sub: 's', name: 'n' }, target: 't', session: 's' };
  expect(limit.rest('s').map((counted) => countedRefusals(facts, true, counted))).toMatchObject([
    { commit: 'old', count: 5 },
    { commit: 'new', count: 5 },
  ]);
});
