import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { isKnownV8 } from '../src/known-v8.ts';

const MEGABYTE = 1024 * 1024;
const GARBAGE_MEGABYTES = 200;

/**
 * Grows, as after a burst, and then rests, or goes on. Prints what it held then,
 * what it holds at its end, and how often it has collected everything.
 */
const PROGRAM = `
  const [, how, source] = process.argv;
  const { giveBackAtRest } = await import(source + 'give-back.ts');
  const { garbageCollector } = await import(source + 'garbage-collector.ts');
  const { setTimeout: sleep } = await import('node:timers/promises');
  let kept = [];
  while (process.memoryUsage().heapUsed < ${GARBAGE_MEGABYTES * MEGABYTE}) {
    for (let n = 0; n < 20_000; n += 1) kept.push({ list: [n, 1], text: 'x' + n });
  }
  const held = process.memoryUsage.rss();
  kept = undefined;
  let collected = 0;
  const reduce = garbageCollector({ type: 'major', flavor: 'last-resort' });
  const collect = () => {
    collected += 1;
    reduce();
  };
  const lookEveryMs = 100;
  giveBackAtRest({ lookEveryMs, collect });
  for (let turn = 0; turn < 60; turn += 1) {
    const until = performance.now() + (how === 'works' ? lookEveryMs : 0);
    while (performance.now() < until);
    await sleep(how === 'works' ? 1 : lookEveryMs / 5);
  }
  console.log(JSON.stringify({ held, holds: process.memoryUsage.rss(), collected }));
`;

interface Outcome {
  readonly held: number;
  readonly holds: number;
  readonly collected: number;
}

async function afterGrowing(how: 'rests' | 'works'): Promise<Outcome> {
  const source = new URL('../src/', import.meta.url).href;
  const args = ['--input-type=module', '-e', PROGRAM, how, source];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

describe.runIf(isKnownV8)('a process that has grown', () => {
  test('gives back what it does not use, once it rests, and does so once', async () => {
    const { held, holds, collected } = await afterGrowing('rests');
    expect(held - holds).toBeGreaterThan((GARBAGE_MEGABYTES / 2) * MEGABYTE);
    expect(collected).toBe(1);
  });

  test('is left alone while it works: optimized code would be lost', async () => {
    const { collected } = await afterGrowing('works');
    expect(collected).toBe(0);
  });
});
