/** What holds for all commands at once: their help fits a terminal, and hoop(1) has all of it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/process/program.ts';
import { textWidth } from '../../src/ui/text/text-width.ts';
import { silentIo } from './silent-io.ts';

const WIDTH = 80;
const MAN_PAGE = fileURLToPath(new URL('../../dist/man/hoop.1', import.meta.url));

let written = '';
const stdout = new Writable({
  write(chunk, _encoding, done) {
    written += String(chunk);
    done();
  },
});
const io = silentIo(stdout);

function all(command: Command, path: string): { path: string; command: Command }[] {
  const below = command.createHelp().visibleCommands(command);
  return [
    { path, command },
    ...below
      .filter((child) => child.name() !== 'help')
      .flatMap((child) => all(child, `${path} ${child.name()}`)),
  ];
}

const commands = all(buildProgram(io, false), 'hoop');

function helpOf(command: Command): string {
  written = '';
  command.outputHelp();
  return written;
}

test('there is help for more than thirty commands', () => {
  expect(commands.length).toBeGreaterThan(30);
});

test.each(commands)('no line of `$path --help` is wider than 80 columns', ({ command }) => {
  const wide = helpOf(command)
    .split('\n')
    .filter((line) => textWidth(line) > WIDTH);
  expect(wide).toEqual([]);
});

test.each(commands.filter(({ command }) => command.commands.length > 0))(
  'nor is what `$path` alone prints',
  ({ command }) => {
    written = '';
    command.outputHelp({ error: true });
    expect(written.split('\n').filter((line) => textWidth(line) > WIDTH)).toEqual([]);
  },
);

test.each([
  ['why last', 'Did you mean `hoop sessions why`?'],
  ['sessions approve x', 'Did you mean `hoop approvals approve`?'],
  ['revoke x', 'Did you mean `hoop access revoke`?'],
  [
    'show x',
    'Did you mean `hoop runs show`, `hoop approvals show`, `hoop sessions show` or `hoop policy show`?',
  ],
  ['sessions lst', 'Did you mean list?'],
  ['nonsense', '`hoop --help` lists the commands.'],
])('after `hoop %s` the hint is: %s', async (words, hint) => {
  written = '';
  const program = buildProgram(io, false);
  await expect(program.parseAsync(words.split(' '), { from: 'user' })).rejects.toThrow();
  expect(written.split('\n')[1]).toBe(`hoop: hint: ${hint}`);
});

test('hoop(1) is text that groff has nothing to say about', () => {
  const warnings = execFileSync('groff', ['-man', '-Tutf8', '-ww', '-z', MAN_PAGE], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  expect(warnings).toBe('');
});

test('hoop(1) has every command with all of its options', () => {
  const page = readFileSync(MAN_PAGE, 'utf8').replaceAll('\\-', '-');
  for (const { command, path } of commands.slice(1)) {
    expect(page).toContain(`.SS ${path}`);
    for (const { flags, hidden } of command.options) {
      expect(page, path).toContain(hidden ? '' : `.B ${flags}`);
    }
  }
});
