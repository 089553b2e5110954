/** Every command that hoop shows is one that hoop takes. */
import { Writable } from 'node:stream';
import { type Command, CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/process/program.ts';
import { type ShownCommand, shownCommands } from './shown-commands.ts';
import { silentIo } from './silent-io.ts';

const io = silentIo(new Writable({ write: (_, __, done) => done() }));
const names = new Set(buildProgram(io, false).commands.map((command) => command.name()));
/** The other one is hashed and never shown. */
const SHOWN = shownCommands(names).filter(
  ({ place }) => !place.startsWith('src/api/login-nonce.ts'),
);

/** The text names a run of the command there, and gives nothing to type. */
const NAMES_IT = /\b(?:each|in|of|inside|outside|next|under) $/;

/** Parses with the real program, whose commands then do nothing. */
async function problemOf({ words, before }: ShownCommand): Promise<string | undefined> {
  const program = buildProgram(io, false);
  silence(program);
  try {
    await program.parseAsync([...words], { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const lacks = error.code === 'commander.missingArgument';
    return lacks && NAMES_IT.test(before) ? undefined : error.message;
  }
}

function silence(command: Command): void {
  for (const one of command.commands) {
    one.action(() => undefined);
    silence(one);
  }
}

test.each([
  ['access bogus', ''],
  ['conect db', ''],
  ['login --gatway https://gateway.example', ''],
  ['login --gateway', 'inside '],
  ['gateway takeover node', 'inside '],
  ['access request db --reason x', ''],
  ['access request db --for long --reason x', ''],
  ['sessions verify', 'see '],
  ['sessions list extra', ''],
])('hoop %s after "%s" is a problem', async (typed, before) => {
  expect(await problemOf({ place: '', before, words: typed.split(' ') })).toBeDefined();
});

test('a run of a command can be named without its arguments', async () => {
  expect(await problemOf({ place: '', before: 'inside ', words: ['connect'] })).toBeUndefined();
});

test('the sources show more than two hundred commands', () => {
  expect(SHOWN.length).toBeGreaterThan(200);
});

test('hoop takes every command that it shows', async () => {
  const problems: string[] = [];
  for (const shown of SHOWN) {
    const problem = await problemOf(shown);
    if (problem !== undefined) problems.push(`${shown.place}: ${problem}`);
  }
  expect(problems).toEqual([]);
});
