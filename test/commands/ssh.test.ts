import { expect, test } from 'vitest';
import type { Io } from '../../src/commands/io.ts';
import { separateRemoteCommand, sshCommand } from '../../src/commands/ssh.ts';

// The command is not run.
const command = sshCommand({} as Io);

test.each([
  ['ssh web-1', 'ssh web-1'],
  ['ssh web-1 ls -la', 'ssh web-1 -- ls -la'],
  ['ssh web-1 grep -q --json x', 'ssh web-1 -- grep -q --json x'],
  ['ssh -tt web-1 top', 'ssh -tt web-1 -- top'],
  ['ssh -L 1:a:2 -N web-1', 'ssh -L 1:a:2 -N web-1'],
  ['ssh -o A=b web-1 -x', 'ssh -o A=b web-1 -- -x'],
  ['ssh --reason why web-1 ls', 'ssh --reason why web-1 -- ls'],
  ['ssh --reason=why web-1 ls', 'ssh --reason=why web-1 -- ls'],
  ['ssh web-1 -- ls', 'ssh web-1 -- ls'],
  ['ssh -- web-1 ls', 'ssh -- web-1 ls'],
  ['-q ssh web-1 ls', '-q ssh web-1 -- ls'],
  ['ssh', 'ssh'],
  ['ssh --help', 'ssh --help'],
  ['connect web-1 --json', 'connect web-1 --json'],
  ['run -- ssh web-1 ls', 'run -- ssh web-1 ls'],
])('%s is read as %s', (typed, read) => {
  expect(separateRemoteCommand(typed.split(' '), command)).toEqual(read.split(' '));
});
