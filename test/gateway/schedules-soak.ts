/** `npm run soak:schedules -- --seed 7 --rounds 1000`: each round has a session and ten schedules of its own. */
import { parseArgs } from 'node:util';
import { playSchedules } from './schedules.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, rounds: { type: 'string', default: '200' } },
});
const first = Number(values.seed);
for (let at = 0; at < Number(values.rounds); at += 1) {
  await playSchedules([first + at], 10);
  if (at % 20 === 19) {
    process.stdout.write(`${at + 1} sessions, up to seed ${first + at}: none would be ended\n`);
  }
}
