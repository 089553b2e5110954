/**
 * The same messages to the server directly and through the real gateway and CLI, every byte of the
 * answers compared. A part of what `npm run differential` plays, which see.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORBIDDEN, SYNTAX_ERROR, withDenials } from '../../conformance/protocol/denied.ts';
import { type Case, difference, same } from '../../conformance/protocol/differential.ts';
import { generate } from '../../conformance/protocol/generate.ts';
import { type Lanes, openLanes } from '../../conformance/protocol/lanes.ts';
import { GUARDED, MALFORMED, SCRIPTS } from '../../conformance/protocol/scripts.ts';

let lanes: Lanes;
beforeAll(async () => {
  lanes = await openLanes({ signal: new AbortController().signal });
}, 120_000);
afterAll(async () => {
  await lanes[Symbol.asyncDispose]();
});

const played = (one: Case): Promise<string | undefined> => difference(lanes, one);

describe('under a grant that lets anything pass no byte differs', () => {
  test.each([...GUARDED, ...MALFORMED, ...SCRIPTS.slice(0, 4)])('$title', async (script) => {
    expect(await played(same('anything', script))).toBeUndefined();
  });
});

describe('under a policy that allows all no answer differs', () => {
  test.each(SCRIPTS)('$title', async (script) => {
    expect(await played(same('strict', script))).toBeUndefined();
  });
  test.each(MALFORMED)('$title', async (script) => {
    expect(await played(same('strict', script))).toBeUndefined();
  });
});

describe('a denied statement leaves what a syntax error at the same place leaves', () => {
  /** Every so many of all places; the long run takes each. */
  const STRIDE = 29;
  const pairs = SCRIPTS.filter(({ title }) => title !== 'a deep pipeline')
    .flatMap(withDenials)
    .filter((_, index) => index % STRIDE === 0);
  test.each(pairs)('$title', async ({ direct, hoop }) => {
    expect(await played({ lane: 'denying', direct, hoop })).toBeUndefined();
  });
});

describe('random sequences of messages, valid and not, bring the same answers', () => {
  const seeds = Array.from({ length: 8 }, (_, index) => 1000 + index);
  test.each(seeds)('seed %i, anything', async (seed) => {
    expect(await played(same('anything', generate({ seed })))).toBeUndefined();
  });
  test.each(seeds)('seed %i, allowed', async (seed) => {
    expect(await played(same('strict', generate({ seed, policed: true })))).toBeUndefined();
  });
  test.each(seeds)('seed %i, with denials', async (seed) => {
    const direct = generate({ seed, policed: true, denied: SYNTAX_ERROR });
    const hoop = generate({ seed, policed: true, denied: FORBIDDEN });
    expect(await played({ lane: 'denying', direct, hoop })).toBeUndefined();
  });
});
