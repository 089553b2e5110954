import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { chooseTokenStore } from '../../src/auth/token-stores.ts';
import { locateHome } from '../../src/home.ts';
import { type TemporaryHome, temporaryHome } from './command-run.ts';

const run = promisify(execFile);
const child = fileURLToPath(new URL('./keychain-child.ts', import.meta.url));

beforeAll(() => {
  for (const [program, packageName] of [
    ['dbus-run-session', 'dbus'],
    ['gnome-keyring-daemon', 'gnome-keyring'],
  ] as const) {
    if (!isOnPath(program)) {
      throw new Error(`${program} is missing; install it with \`apt-get install ${packageName}\``);
    }
  }
});

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A message bus of its own, so that no keychain of whoever runs the tests is touched. */
async function inSession(home: TemporaryHome, script: string): Promise<Record<string, unknown>> {
  const directories = ['data', 'config', 'cache', 'run'].map((name) => join(home.path, name));
  for (const directory of directories) {
    mkdirSync(directory, { mode: 0o700 });
  }
  const [data = '', config = '', cache = '', runtime = ''] = directories;
  const file = join(home.path, 'session.sh');
  writeFileSync(file, script);
  const { HOOP_TOKEN_STORE: _, DBUS_SESSION_BUS_ADDRESS: __, ...env } = home.env;
  const { stdout } = await run('dbus-run-session', ['--', 'sh', file], {
    env: {
      ...env,
      HOME: home.path,
      XDG_DATA_HOME: data,
      XDG_CONFIG_HOME: config,
      XDG_CACHE_HOME: cache,
      XDG_RUNTIME_DIR: runtime,
      HOOP_HOME: join(home.path, 'hoop'),
    },
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

const start = 'gnome-keyring-daemon --unlock --components=secrets >/dev/null';

describe('tokens in the keychain', () => {
  test('go to the Secret Service where there is one, and nothing is left in a file', async () => {
    using home = temporaryHome();
    const result = await inSession(
      home,
      `printf password | ${start}\n"${process.execPath}" "${child}"\n`,
    );
    expect(result).toEqual({
      description: 'keychain (Secret Service)',
      same: true,
      foundIn: 'keychain (Secret Service)',
      otherHome: false,
      whenFileIsForced: false,
      fileExists: false,
      removed: true,
      afterwards: false,
    });
  });

  test('go to the file where no Secret Service answers, and never to the kernel’s keyring', async () => {
    using home = temporaryHome();
    const result = await inSession(home, `"${process.execPath}" "${child}"\n`);
    expect(result).toMatchObject({
      description: `file ${home.path}/hoop/tokens.json`,
      problem: 'the keychain cannot be used',
      same: true,
      fileExists: true,
      removed: true,
      afterwards: false,
    });
  });

  test('do not fall back to a file where the configuration asks for the keychain', async () => {
    using home = temporaryHome();
    const address = process.env['DBUS_SESSION_BUS_ADDRESS'];
    process.env['DBUS_SESSION_BUS_ADDRESS'] = 'unix:path=/nonexistent';
    try {
      await expect(
        chooseTokenStore(locateHome(home.env), { tokenStore: 'keychain' }),
      ).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE', message: 'the keychain cannot be used' });
    } finally {
      if (address === undefined) {
        delete process.env['DBUS_SESSION_BUS_ADDRESS'];
      } else {
        process.env['DBUS_SESSION_BUS_ADDRESS'] = address;
      }
    }
  });
});
