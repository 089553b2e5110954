import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { LAUNCHER } from '../src/demo/hoop-process.ts';
import { isKnownV8 } from '../src/known-v8.ts';

/** What V8 compares before it takes compiled code: its version and flags, among others. */
const TAG = `const { cachedDataVersionTag } = require('node:v8');`;

async function printed(...args: string[]): Promise<unknown[]> {
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** What Node.js is asked for while `hoop --version` runs, and which modules it loads. */
async function lookedUp(): Promise<{ asked: string[]; loaded: string[] }> {
  const preload = [
    `data:text/javascript,import { registerHooks } from 'node:module'; const asked = []; const loaded = [];`,
    'registerHooks({ resolve(name, context, next) { asked.push(name); return next(name, context); },',
    'load(url, context, next) { loaded.push(url); return next(url, context); } });',
    `process.once('exit', () => console.log(JSON.stringify([{ asked, loaded }])));`,
  ].join(' ');
  const [seen] = await printed('--import', preload, LAUNCHER, '--version');
  return seen as { asked: string[]; loaded: string[] };
}

/** @returns the tag before each step and after the last, each step a turn of the event loop */
async function tagsOf(file: string, ...steps: string[]): Promise<unknown[]> {
  const program = [
    TAG,
    `const part = await import(${JSON.stringify(new URL(file, import.meta.url).href)});`,
    'const tags = [cachedDataVersionTag()];',
    ...steps.map((step) => `part.${step}; tags.push(cachedDataVersionTag());`),
    'await new Promise(setImmediate); tags.push(cachedDataVersionTag());',
    'console.log(JSON.stringify(tags)); process.exit();',
  ];
  return printed('--input-type=commonjs', '-e', `(async () => { ${program.join('\n')} })()`);
}

describe.runIf(isKnownV8)('kept compiled code', () => {
  test('is taken by a command: hoop starts under the flags that Node.js was made with', async () => {
    const atEnd = `${TAG} process.once('exit', () => console.log(JSON.stringify([cachedDataVersionTag()])));`;
    const preload = `data:text/javascript,import { createRequire } from 'node:module'; const require = createRequire('file:///'); ${atEnd}`;
    const [bare] = await printed('--import', preload, '-e', '0');
    const [ofHoop] = await printed('--import', preload, LAUNCHER, '--version');
    expect(ofHoop).toBe(bare);
  });

  test('is taken again once the parser of HTTP has been compiled without the optimizer', async () => {
    const [before, compiling, after] = await tagsOf('../src/baseline-wasm.ts', 'baselineNow()');
    expect(compiling).not.toBe(before);
    expect(after).toBe(before);
  });

  test('is of no account where WebAssembly is never optimized', async () => {
    const [before, , , after] = await tagsOf(
      '../src/baseline-wasm.ts',
      'baselineNow()',
      'baselineOnly()',
    );
    const [, forGood, still] = await tagsOf('../src/baseline-wasm.ts', 'baselineOnly()');
    expect(forGood).not.toBe(before);
    expect(after).toBe(forGood);
    expect(still).toBe(forGood);
  });

  test('is of no account where streams pass: the collector is tuned for good', async () => {
    const [before, tuned, after] = await tagsOf('../src/tune-collector.ts', 'tuneCollector()');
    expect(tuned).not.toBe(before);
    expect(after).toBe(tuned);
  });
});

test('Node.js searches for no module of the bundle: the launcher says where each is', async () => {
  const { asked, loaded } = await lookedUp();
  expect(loaded.filter((url) => url.includes('/dist/')).length).toBeGreaterThan(10);
  // Node.js 24 does not tell of start.js, which is no part of the bundle.
  const ofBundle = asked.filter((name) => name.startsWith('.') && name !== './start.js');
  expect(ofBundle).toEqual(['../dist/main.js']);
});
