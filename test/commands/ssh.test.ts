import { expect, test } from 'vitest';
import type { Io } from '../../src/commands/io.ts';
import { separateRemoteCommand, sshCommand } from '../../src/commands/ssh/ssh.ts';

// The command is not run.
const command = sshCommand({} as Io);

test.each([
  ['ssh web-1', 'ssh web-1'],
  ['ssh web-1 ls -la', 'ssh web-1 -- ls -la'],
  ['ssh web-1 grep -q --json x', 'ssh web-1 -- grep -q --json x'],
  ['ssh -tt web-1 top', 'ssh -tt web-1 -- top'],
  ['ssh -L 1:a:2 -N web-1', 'ssh -L 1:a:2 -N web-1'],
  // As getopt in ssh(1), which goes on behind the host: `ssh -G web-1 -p 99` says port 99.
  ['ssh web-1 -t top -d 1', 'ssh web-1 -t -- top -d 1'],
  ['ssh web-1 -L 1:a:2 -N', 'ssh web-1 -L 1:a:2 -N'],
  ['ssh -o A=b web-1 -l x id -u', 'ssh -o A=b web-1 -l x -- id -u'],
  ['ssh web-1 --reason why ls', 'ssh web-1 --reason why -- ls'],
  ['ssh web-1 -t -- -x', 'ssh web-1 -t -- -x'],
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
