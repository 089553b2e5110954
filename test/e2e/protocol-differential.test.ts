/**
 * The same messages to the server directly and through the real gateway and CLI, every byte of the
 * answers compared. A part of what `npm run differential` plays, which see.
 */
import { describe, expect, test } from 'vitest';
import { compare } from '../../conformance/protocol/compare.ts';
import {
  deniedWithin,
  FORBIDDEN,
  SYNTAX_ERROR,
  withDenials,
} from '../../conformance/protocol/denied.ts';
import { type Case, difference, same } from '../../conformance/protocol/differential.ts';
import { generate } from '../../conformance/protocol/generate.ts';
import { LANES } from '../../conformance/protocol/lanes.ts';
import { encode, query } from '../../conformance/protocol/messages.ts';
import { GUARDED, MALFORMED, SCRIPTS } from '../../conformance/protocol/scripts.ts';
import { IN_TURN } from '../../conformance/protocol/scripts-in-turn.ts';
import { type WireAddress, WireClient } from '../../conformance/protocol/wire-client.ts';
import { testLanes } from './test-lanes.ts';

const { lanes } = testLanes();

const played = (one: Case): Promise<string | undefined> => difference(lanes(), one);

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

describe('of several statements each is decided when those before it have run', () => {
  test.each(IN_TURN)('$title', async (script) => {
    expect(await played(same('denying', script))).toBeUndefined();
  });
});

describe('a denied statement leaves what a syntax error at the same place leaves', () => {
  /** Every so many of all places; the long run takes each. */
  const STRIDE = 29;
  const pairs = SCRIPTS.filter(({ title }) => title !== 'a deep pipeline')
    .flatMap(withDenials)
    .filter((_, index) => index % STRIDE === 0);
  test.each([...deniedWithin(), ...pairs])('$title', async ({ direct, hoop }) => {
    expect(await played({ lane: 'denying', direct, hoop })).toBeUndefined();
  });
});

describe('a notification comes to a client that is idle', () => {
  test('as directly, and while it is in a transaction only after that', async () => {
    const heard = async (address: WireAddress) => {
      await using client = await WireClient.open(address);
      client.write(encode(query('LISTEN idle')));
      await client.until(() => client.count('Z') === 2);
      await lanes().admin("NOTIFY idle, 'while it does nothing'");
      await client.until(() => client.count('A') === 1);
      client.write(encode(query('BEGIN')));
      await client.until(() => client.count('Z') === 3);
      await lanes().admin("NOTIFY idle, 'within a transaction'");
      client.write(Buffer.concat([query('SELECT 1/0'), query('ROLLBACK')].map(encode)));
      await client.until(() => client.count('A') === 2 && client.count('Z') === 5);
      return { received: [...client.received], marks: [], stuckAt: undefined, closed: false };
    };
    const direct = await heard(lanes().direct);
    for (const lane of LANES) {
      expect(compare(direct, await heard(lanes().hoop[lane]))).toBeUndefined();
    }
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
