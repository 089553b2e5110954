import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { isV8Before14 } from '../src/known-v8.ts';

/** Between what is enough and what would be next. */
const TWICE = 48 * 1024 * 1024;

/** Keeps what makes the young generation grow, a turn of the event loop at a time. */
const PROGRAM = `
  const { getHeapSpaceStatistics } = await import('node:v8');
  const size = () => getHeapSpaceStatistics().find((s) => s.space_name === 'new_space').space_size;
  if (process.argv[1] === 'limited') {
    const { limitYoungGeneration } = await import(process.argv[2]);
    limitYoungGeneration();
  }
  const kept = [];
  let most = 0;
  for (let turn = 0; turn < 1500; turn += 1) {
    for (let index = 0; index < 4000; index += 1) {
      kept[(turn * 4000 + index) % 200_000] = { index, list: [index, index + 1], text: 'x' + index };
    }
    await new Promise(setImmediate);
    most = Math.max(most, size());
  }
  console.log(most);
`;

async function mostBytes(how: 'limited' | 'as it is'): Promise<number> {
  const module = new URL('../src/young-generation.ts', import.meta.url).href;
  const args = ['--input-type=module', '-e', PROGRAM, how, module];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return Number(stdout);
}

// V8 14, of Node.js 26, grows it in steps of its own, to half of what V8 13 would.
describe.runIf(isV8Before14)('the young generation of V8 13 (Node.js 24)', () => {
  test('grows to what is enough and no further', async () => {
    const most = await mostBytes('limited');
    expect(most).toBeLessThan(TWICE);
  });

  test('is not kept small by anything else', async () => {
    expect(await mostBytes('as it is')).toBeGreaterThan(TWICE);
  });
});
