import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  knownHostsLines,
  requireHostName,
  sshHostBlock,
} from '../../../../src/connectors/ssh/client/ssh-config.ts';
import {
  findProgram,
  sshEnvironment,
  writeSshFiles,
} from '../../../../src/connectors/ssh/client/ssh-files.ts';
import { generateLocalSshKeys } from '../../../../src/connectors/ssh/client/ssh-keys.ts';
import { HoopError } from '../../../../src/errors.ts';

const hasSsh = findProgram('ssh', process.env['PATH'] ?? '') !== undefined;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop ssh-50%-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** What ssh(1) itself understands, by the lower-case names of its settings. */
function effective(configFile: string, host: string): ReadonlyMap<string, string> {
  const text = execFileSync('ssh', ['-G', '-F', configFile, host], { encoding: 'utf8' });
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]),
  );
}

function files(env: NodeJS.ProcessEnv = process.env) {
  const keys = generateLocalSshKeys();
  const targets = [
    { ...keys, name: 'web-1', via: { host: '127.0.0.1', port: 4711 } },
    {
      ...keys,
      name: 'web-2',
      via: { proxyCommand: ['/opt/my hoop/100%', "it's", '--socket', '/s'] },
    },
  ];
  return writeSshFiles(directory, targets, env);
}

describe.skipIf(!hasSsh)('the configuration as ssh reads it', () => {
  test('leads to the port with this key and this host key, and nothing else', () => {
    const seen = effective(files().configFile, 'web-1');
    expect(Object.fromEntries(seen)).toMatchObject({
      hostname: '127.0.0.1',
      port: '4711',
      user: 'hoop',
      hostkeyalias: 'hoop-web-1',
      stricthostkeychecking: 'true',
      identitiesonly: 'yes',
      identityagent: 'none',
      forwardagent: 'no',
      updatehostkeys: 'false',
    });
    expect(seen.get('identityfile')).toContain('50%');
    expect(seen.get('userknownhostsfile')).toContain('50%');
  });

  test('a user given on the command line asks for that login', () => {
    expect(effective(files().configFile, 'deploy@web-1').get('user')).toBe('deploy');
  });

  test('a ProxyCommand keeps its words, whatever is in them', () => {
    const command = effective(files().configFile, 'web-2').get('proxycommand');
    expect(command).toBe(`'/opt/my hoop/100%%' 'it'\\''s' --socket /s`);
  });

  test('other hosts are as the user has them, and ours are not touched by that', () => {
    const home = mkdtempSync(join(tmpdir(), 'hoop home-'));
    mkdirSync(join(home, '.ssh'));
    writeFileSync(
      join(home, '.ssh', 'config'),
      'Host *\n  Port 99\n  ProxyJump bastion\n  User me\n',
    );
    const { configFile } = files({ ...process.env, HOME: home });
    const other = effective(configFile, 'elsewhere');
    expect([other.get('port'), other.get('user'), other.get('proxyjump')]).toEqual([
      '99',
      'me',
      'bastion',
    ]);
    const ours = effective(configFile, 'web-1');
    expect([ours.get('port'), ours.get('user'), ours.has('proxyjump')]).toEqual([
      '4711',
      'hoop',
      false,
    ]);
    rmSync(home, { recursive: true });
  });
});

test('keys are for the owner alone, and are not replaced', () => {
  const { configFile } = files();
  for (const name of ['config', 'known_hosts', 'id-1-ssh-ed25519', 'id-2-ecdsa-sha2-nistp256']) {
    expect(statSync(join(directory, 'ssh', name)).mode & 0o777).toBe(0o600);
  }
  expect(statSync(join(directory, 'ssh')).mode & 0o777).toBe(0o700);
  expect(configFile).toBe(join(directory, 'ssh', 'config'));
  expect(() => files()).toThrow('EEXIST');
});

test('the environment puts wrappers before the system’s programs', () => {
  const made = files();
  const set = sshEnvironment(made, { PATH: '/usr/bin:/bin' });
  expect(set['PATH']).toBe(
    made.programs === undefined ? undefined : `${made.programs}:/usr/bin:/bin`,
  );
  expect(set['GIT_SSH_COMMAND']).toBe(`ssh -F '${made.configFile}'`);
  expect(set['RSYNC_RSH']).toBe(set['GIT_SSH_COMMAND']);
});

describe('names of targets', () => {
  test.each(['web-1', 'db.example.com', 'größe', 'a_b', 'prod:22', 'x+y'])('%s may be', (name) => {
    expect(requireHostName(name)).toBe(name);
    expect(knownHostsLines(name, [{ publicKey: 'ssh-ed25519 AAAA' }])).toBe(
      `hoop-${name} ssh-ed25519 AAAA\n`,
    );
  });

  test.each([
    '',
    '-oProxyCommand=x',
    'a b',
    'a"b',
    "a'b",
    'a%h',
    'a*',
    'a?',
    '!a',
    'a,b',
    'a\nb',
    'a#b',
    '../a',
    'a/b',
    '$(x)',
  ])('%j may not', (name) => {
    expect(() => requireHostName(name)).toThrow(HoopError);
    const paths = { knownHostsFile: '/k', identityFiles: ['/i'] };
    const via = { host: '127.0.0.1', port: 1 };
    expect(() => sshHostBlock({ name, via, ...paths })).toThrow('cannot be used in ssh_config');
  });

  test('a path with a quote or a line feed is refused', () => {
    const via = { host: '127.0.0.1', port: 1 };
    for (const path of ['/a"b', '/a\nb', '/$' + '{HOME}']) {
      expect(() =>
        sshHostBlock({ name: 'web-1', via, knownHostsFile: path, identityFiles: ['/i'] }),
      ).toThrow('cannot be used in ssh_config');
    }
  });
});
