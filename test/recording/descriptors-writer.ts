/**
 * Runs with few descriptors and takes all of them: a recording that is due for its next segment goes
 * on in the one that it has, and what takes a thread waits for it. Prints one JSON line.
 */
import { closeSync, openSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { SqlParser } from '../../src/connectors/postgres/policy/parse/parser.ts';
import { RecordingBench, SessionPair } from './session-pair.ts';

const [, , directory = ''] = process.argv;
const PIECE = Buffer.alloc(1 << 20);
const taken: number[] = [];

function takeAll(): void {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // There is none left.
  }
}

function giveBack(): void {
  for (const fd of taken.splice(0)) closeSync(fd);
}

const bench = await RecordingBench.openIn(directory);
const pair = await SessionPair.open(bench);
pair.connected = false;
const segments = async (): Promise<number> =>
  (await readdir(pair.gateway.directory)).filter((name) => name.endsWith('.hrs')).length;
let down = 0;
const write = (pieces: number): void => {
  for (let left = pieces; left > 0; left -= 1, down += PIECE.length) {
    pair.gateway.data(1, 1, [PIECE]);
  }
};
pair.gateway.openStream(1, 'postgres');
takeAll();
write(66);
const parser = SqlParser.create();
const asked = parser.parse('select 1');
while (parser.threads > 0) await turn();
giveBack();
const before = await segments();
write(2);
const { type } = await asked;
await parser[Symbol.asyncDispose]();
const after = await segments();
const stopped = pair.gateway.stopped.aborted;
await pair.gateway.close({ reason: 'closed' });
await pair.client.close();
const { session } = pair;
process.stdout.write(`${JSON.stringify({ session, down, before, after, stopped, type })}\n`);
await bench.store[Symbol.asyncDispose]();
