import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let directory: string;
let env: NodeJS.ProcessEnv;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-completion-'));
  // As on a machine where `hoop` is installed.
  const program = join(directory, 'hoop');
  writeFileSync(
    program,
    `#!/bin/sh\nexec '${process.execPath}' '${process.cwd()}/bin/hoop.js' "$@"\n`,
  );
  chmodSync(program, 0o755);
  env = { PATH: `${directory}:${process.env['PATH']}`, HOOP_HOME: join(directory, 'home') };
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** For shells that keep things in a home, and draw a line. */
function shellEnv(): NodeJS.ProcessEnv {
  return { ...env, HOME: directory, TERM: 'xterm', LC_ALL: 'C.UTF-8' };
}

function complete(...words: string[]): string[] {
  const args = ['complete', '--', ...words];
  const output = execFileSync('hoop', args, { env, encoding: 'utf8', stdio: 'pipe' });
  return output.split('\n').flatMap((line) => line.split('\t')[0] || []);
}

describe('what could be typed next', () => {
  test.each([
    [['se'], ['sessions']],
    [['sessions', 're'], ['replay']],
    [['sessions', 'end', ''], ['last']],
    [['approvals', 'show', ''], []],
    [
      ['sessions', 'replay', ''],
      ['last', ':files'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['policy', 'schema', 'po'], ['policy']],
    [['connect', 'x', '--so'], ['--socket']],
    [['connect', '--reason', ''], []],
    [
      ['gateway', 'events', '--type', 'login'],
      ['login', 'login.refused', 'login.ended'],
    ],
    [['gateway', 'events', '--session', ''], []],
    [['connect', '--reason', 'se'], []],
    [['sessions', 'verify', '--trust', ''], [':files']],
    [['connect', 'x', '--', 'ps'], [':commands']],
    [['connect', 'x', '--', 'psql', '-f'], [':files']],
    [['targets', '--no-c'], ['--no-color']],
    [
      ['nonsense', '-'],
      ['--version', '--quiet', '--no-color', '--help'],
    ],
  ])('%j: %j', (words, expected) => {
    expect(complete(...words)).toEqual(expected);
  });

  test('the command behind it is not for people, so no help and no completion names it', () => {
    expect(complete('com')).toEqual(['completion']);
  });

  test('before a login there are no targets, and no errors in the prompt', () => {
    const run = spawnSync('hoop', ['complete', '--', 'connect', ''], { env, encoding: 'utf8' });
    expect(run).toMatchObject({ stdout: '', stderr: '', status: 0 });
  });
});

test('bash completes with the script that it is given', () => {
  const script = `source <(hoop completion bash)
    COMP_WORDS=(hoop sessions re); COMP_CWORD=2; _hoop; echo "\${COMPREPLY[*]}"
    cd ${directory}; touch 'a recording.tar'
    COMP_WORDS=(hoop sessions verify 'a'); COMP_CWORD=3; _hoop 2>/dev/null; echo "\${COMPREPLY[*]}"
    complete -p hoop`;
  expect(execFileSync('bash', ['-c', script], { env, encoding: 'utf8' })).toBe(
    'replay\na recording.tar\ncomplete -F _hoop hoop\n',
  );
});

test('zsh completes at a Tab in a terminal', () => {
  // Typed ahead: the editor reads it when it is there. What Tab completes is then run.
  const script = `zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell 'autoload -Uz compinit; compinit -u -d ${directory}/dump; source <(hoop completion zsh); bindkey -e'
    zpty -w shell $'hoop completion ba\\t'
    zpty -r shell text '*# bash completion for hoop*' && print completed
    zpty -d shell`;
  expect(execFileSync('zsh', ['-f', '-c', script], { env: shellEnv(), encoding: 'utf8' })).toBe(
    'completed\n',
  );
});

test('zsh offers what begins like it, files and commands where they belong', () => {
  const script = `_describe() { print -l -- \${(P)2}; }; _files() { print files; }; _command_names() { print commands; }
    compdef() { }; source <(hoop completion zsh)
    words=(hoop sessions re); CURRENT=3; _hoop
    words=(hoop sessions verify ''); CURRENT=4; _hoop
    words=(hoop connect x -- ps); CURRENT=5; _hoop`;
  const out = execFileSync('zsh', ['-f', '-c', script], { env: shellEnv(), encoding: 'utf8' });
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^replay:show what happened/),
    'files',
    'last:the newest session',
    'commands',
    '',
  ]);
});

test('fish completes with descriptions, files and programs where they belong', () => {
  writeFileSync(join(directory, 'evidence.tar'), '');
  const script = `cd ${directory}; source (hoop completion fish | psub)
    complete -C 'hoop sessions re'; complete -C 'hoop sessions verify evi'
    complete -C 'hoop targets --js'; complete -C 'hoop connect x -- fis' | string match -r '^fish\\b'`;
  const out = execFileSync('fish', ['-c', script], { env: shellEnv(), encoding: 'utf8' });
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^replay\tshow what happened/),
    'evidence.tar',
    '--json\tprint it as JSON',
    'fish',
    '',
  ]);
});

test('a shell that is not known is wrong usage', () => {
  const run = spawnSync('hoop', ['completion', 'tcsh'], { env, encoding: 'utf8' });
  expect(run.status).toBe(2);
  expect(run.stderr).toContain('bash, zsh, fish');
});
