import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { findSshd, startOpensshServer } from '../../src/demo/openssh-server.ts';

const run = promisify(execFile);

test.skipIf(findSshd() === undefined)(
  'a server of our own logs in its one user with its key, and leaves nothing behind',
  async () => {
    let directoryOfKey: string;
    {
      await using server = await startOpensshServer();
      directoryOfKey = server.privateKeyFile;
      expect(server.hostKeys).toEqual([expect.stringMatching(/^ssh-ed25519 AAAA\S+$/)]);
      const { stdout } = await run('ssh', [
        ...['-F', 'none', '-i', server.privateKeyFile, '-p', String(server.port)],
        ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
        ...['-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR', `${server.user}@127.0.0.1`],
        'id -un',
      ]);
      expect(stdout).toBe(`${server.user}\n`);
    }
    expect(existsSync(directoryOfKey)).toBe(false);
  },
);
