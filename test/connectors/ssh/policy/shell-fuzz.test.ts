// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are pieces of shell
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandMayFit, NO } from '../../../../src/connectors/ssh/policy/match-command.ts';
import { shellFacts } from '../../../../src/connectors/ssh/policy/shell-facts.ts';
import type { ShellFacts } from '../../../../src/connectors/ssh/policy/shell-types.ts';
import { Random } from '../../postgres/protocol/random.ts';
import { decide, grantOf } from './ssh-fixture.ts';

/** The same ones each time, or a failure would come to whoever changed nothing: HOOP_TEST_SEED=… */
const SEED = Number(process.env['HOOP_TEST_SEED'] ?? 20261121);

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'hoop-test-shell-'));
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

const PIECES = [
  'aa',
  'bb',
  'x',
  ' ',
  ' ',
  ' ',
  '\n',
  '\t',
  ';',
  '&',
  '&&',
  '||',
  '|',
  '(',
  ')',
  '{ ',
  ' }',
  '<',
  '>',
  '>>',
  '2>&1',
  '"',
  "'",
  '`',
  '$',
  '$(',
  '${',
  '}',
  '$((',
  '))',
  '\\',
  '#',
  '!',
  '*',
  '?',
  '[',
  ']',
  '~',
  '=',
  'x=1 ',
  '<<',
  '<<<',
  '<<EOF\n',
  '\nEOF\n',
  'if ',
  '; then ',
  '; fi',
  'for i in ',
  '; do ',
  '; done',
  'case x in ',
  ') ',
  ';; ',
  'esac',
  "$'",
  "\\'",
  '\\x72',
  '@',
  '-n',
  '--',
  '[[ ',
  ' ]]',
  '&>',
  '<(',
  '>(',
  'sh -c ',
  'eval ',
  'env ',
  'xargs ',
  'function f ',
  '() ',
  '\u00a0',
  'é',
  '\r',
  '%',
  '+',
  ',',
  '{a,b}',
  '/dev/null',
  './/',
  'aa -c',
  'time ',
  'coproc ',
  'select ',
  'exec ',
];

function script(next: Random): string {
  const length = 1 + next.below(14);
  return Array.from({ length }, () => PIECES[next.below(PIECES.length)]).join('');
}

/** Scripts that are read whole, and what is known of each. */
function* readable(seed: number, rounds: number) {
  const next = new Random(seed);
  for (let round = 0; round < rounds; round += 1) {
    const text = script(next);
    const facts = shellFacts(text);
    if (facts.unknown.length === 0 && facts.commands.length > 0) {
      yield { text, facts };
    }
  }
}

/** Nothing is found on this PATH, so each program that would run lands in the handler. */
const TELL = `PATH=/nowhere; command_not_found_handle() { printf '%s\\0' "$#" "$@" >&9; }\n`;

/** @param told a file of its own: what is started in the background may tell late. */
function ranInBash(text: string, folder: string, told: string): string[][] {
  spawnSync('/bin/bash', ['--norc', '--noprofile', '-c', `exec 9>${told}; ${TELL}${text}`], {
    cwd: folder,
    env: {},
    stdio: 'ignore',
  });
  const parts = readFileSync(join(folder, told), 'utf8').split('\0');
  const commands: string[][] = [];
  while (parts.length > 1) {
    const [count = '0'] = parts.splice(0, 1);
    commands.push(parts.splice(0, Number(count)));
  }
  return commands;
}

/** Programs to a shell that does not have them. */
const RESERVED = new Set(['time', '[[']);

/** The first words of what a POSIX shell looked for. */
function lookedForInSh(text: string, folder: string): string[] {
  const { stderr } = spawnSync('/bin/sh', ['-c', `PATH=/nowhere\n${text}`], {
    cwd: folder,
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return [...stderr.matchAll(/^[^:]*: (?:line )?\d+: ([^:\n]+): (?:command )?not found$/gm)].map(
    ([, name = '']) => name,
  );
}

function isOneOf(argv: readonly string[], { commands }: ShellFacts): boolean {
  return commands.some(({ words }) => commandMayFit(argv.map(escaped), words) !== NO);
}

function escaped(word: string): string {
  return word.replaceAll(/[*\\]/g, '\\$&');
}

test('bash runs nothing but what was read, with the very words', () => {
  using folder = temporaryFolder();
  let ran = 0;
  let round = 0;
  for (const { text, facts } of readable(SEED, 6_000)) {
    round += 1;
    for (const argv of ranInBash(text, folder.path, `told-${round}`)) {
      ran += 1;
      expect(
        isOneOf(argv, facts),
        `${JSON.stringify(text)} ran ${JSON.stringify(argv)}, seed ${SEED}`,
      ).toBe(true);
    }
  }
  expect(ran).toBeGreaterThan(100);
});

test('sh runs nothing but what was read', () => {
  using folder = temporaryFolder();
  let ran = 0;
  for (const { text, facts } of readable(SEED + 1, 6_000)) {
    // To sh a program of another name: a dollar, and what is quoted. It ends at the same place.
    if (text.includes("$'")) {
      continue;
    }
    for (const name of lookedForInSh(text, folder.path)) {
      ran += 1;
      const isKnown =
        RESERVED.has(name) || facts.commands.some(({ words: [program] }) => program === name);
      expect(isKnown, `${JSON.stringify(text)} ran ${name}, seed ${SEED + 1}`).toBe(true);
    }
  }
  expect(ran).toBeGreaterThan(100);
});

test('no random script is allowed that has a part which is not read, or a command that is not named', () => {
  const grant = grantOf('allow: { ssh: exec, commands: ["aa **"] }');
  const next = new Random(SEED);
  let allowed = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const text = script(next);
    const verdict = decide(grant, { kind: 'exec', command: text });
    if (verdict.effect !== 'allow') {
      continue;
    }
    allowed += 1;
    const facts = shellFacts(text);
    expect(facts.unknown, `${JSON.stringify(text)} seed ${SEED}`).toEqual([]);
  }
  expect(allowed).toBeGreaterThan(200);
});
