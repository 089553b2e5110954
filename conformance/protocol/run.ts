/**
 * `npm run differential`: the same messages to the server, directly and through the real gateway and
 * CLI, and every byte of the answers compared. Three lanes: `anything` (a grant that lets everything
 * pass), `strict` (one that parses and allows all), `denying` (a denied statement at each place,
 * compared with a syntax error there).
 *
 *   --lane NAME       only this lane; may be repeated
 *   --suite NAME      scripts, malformed, denied, random; may be repeated
 *   --only TEXT       only scripts whose title contains it
 *   --seed N --count N   random sequences from this seed on
 *
 * Exit status 1 when anything differs.
 */
import { parseArgs } from 'node:util';
import { deniedWithin, FORBIDDEN, SYNTAX_ERROR, withDenials } from './denied.ts';
import { type Case, difference, same, showScript, shrink } from './differential.ts';
import { generate } from './generate.ts';
import { LANES, openLanes } from './lanes.ts';
import { GUARDED, MALFORMED, SCRIPTS } from './scripts.ts';
import { IN_TURN } from './scripts-in-turn.ts';

const { values: flags } = parseArgs({
  options: {
    lane: { type: 'string', multiple: true },
    suite: { type: 'string', multiple: true },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '300' },
  },
});
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(signal)));
}

await using lanes = await openLanes({ signal: interrupted.signal });
let played = 0;
let differing = 0;
for (const one of cases()) {
  interrupted.signal.throwIfAborted();
  played += 1;
  const found = await difference(lanes, one);
  if (found === undefined) continue;
  differing += 1;
  say(`${one.lane}: ${one.direct.title}\n${found}`);
  if (!one.direct.title.startsWith('seed')) continue;
  const smallest = await shrink(lanes, one);
  say(`  smallest:\n${showScript(smallest.hoop)}\n${await difference(lanes, smallest)}`);
}
say(`${played} played, ${differing} differ`);
process.exitCode = differing > 0 ? 1 : 0;

function* cases(): Generator<Case> {
  const suites = new Set(flags.suite ?? ['scripts', 'malformed', 'denied', 'random']);
  const wanted = LANES.filter((lane) => flags.lane?.includes(lane) ?? true);
  const titled = <T extends { title: string }>(all: readonly T[]): readonly T[] =>
    all.filter(({ title }) => title.includes(flags.only));
  for (const lane of wanted) {
    if (suites.has('scripts')) yield* titled(IN_TURN).map((script) => same(lane, script));
    if (lane !== 'denying') {
      if (suites.has('scripts')) yield* titled(SCRIPTS).map((script) => same(lane, script));
      if (suites.has('scripts') && lane === 'anything') {
        yield* titled(GUARDED).map((script) => same(lane, script));
      }
      if (suites.has('malformed')) yield* titled(MALFORMED).map((script) => same(lane, script));
    } else if (suites.has('denied')) {
      for (const { direct, hoop } of titled([...deniedWithin(), ...SCRIPTS.flatMap(withDenials)])) {
        yield { lane, direct, hoop };
      }
    }
    if (!suites.has('random')) continue;
    for (let index = 0; index < Number(flags.count); index += 1) {
      const seed = Number(flags.seed) + index;
      if (lane !== 'denying') yield same(lane, generate({ seed, policed: lane === 'strict' }));
      else {
        const direct = generate({ seed, policed: true, denied: SYNTAX_ERROR });
        yield { lane, direct, hoop: generate({ seed, policed: true, denied: FORBIDDEN }) };
      }
    }
  }
}
