import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let directory: string;
/** Makes the running Node claim to be an old one, for the launcher's version gate. */
let oldNode: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-launcher-'));
  oldNode = join(directory, 'old-node.cjs');
  writeFileSync(
    oldNode,
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.0.0' } });",
  );
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** The first Node on PATH that is not the checkout's and too old: what most people start us with. */
const SYSTEM_NODE = (process.env['PATH'] ?? '')
  .split(':')
  .filter((path) => path.startsWith('/') && !path.includes('node_modules'))
  .map((path) => join(path, 'node'))
  .find((path) => {
    const run = spawnSync(path, ['--version'], { encoding: 'utf8' });
    return run.status === 0 && Number(/^v(\d+)/.exec(run.stdout)?.[1]) < 24;
  });

const version: unknown = JSON.parse(readFileSync('package.json', 'utf8')).version;

describe('the launcher', () => {
  test('prints the version of the package', () => {
    const run = spawnSync(process.execPath, ['bin/hoop.js', '--version'], { encoding: 'utf8' });
    expect(run.stdout).toBe(`${version}\n`);
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
  });

  test.runIf(process.platform === 'linux')(
    'a gateway begins again with few pools of memory, as the same process',
    () => {
      const begins = join(directory, 'begins.cjs');
      writeFileSync(
        begins,
        "require('fs').writeSync(2, 'begins ' + process.pid + ' ' + process.env.MALLOC_ARENA_MAX + '\\n');",
      );
      const run = (words: readonly string[], env: Record<string, string> = {}) => {
        const args = ['--require', begins, 'bin/hoop.js', ...words];
        const ran = spawnSync(process.execPath, args, {
          encoding: 'utf8',
          env: { ...process.env, MALLOC_ARENA_MAX: undefined, ...env },
        });
        const begun = ran.stderr.match(/^begins .*$/gm) ?? [];
        return { ...ran, begun: begun.map((line) => line.split(' ')) };
      };
      const config = ['--config', join(directory, 'none.yaml')];
      const gateway = run(['gateway', 'start', ...config]);
      expect(gateway.begun.map(([, , arenas]) => arenas)).toEqual(['undefined', '2']);
      expect(gateway.begun[1]?.[1]).toBe(gateway.begun[0]?.[1]);
      expect(gateway.stderr).toContain('none.yaml');
      expect(gateway.stderr).not.toContain('Warning');
      expect(gateway.status).toBe(1);
      // Whoever has set it knows why; and a short command has no use for it.
      expect(run(['gateway', 'start', ...config], { MALLOC_ARENA_MAX: '4' }).begun).toHaveLength(1);
      expect(run(['gateway', 'check', ...config]).begun).toHaveLength(1);
    },
  );

  describe('compiled modules', () => {
    let installed: string;
    const run = (home: string) =>
      spawnSync(process.execPath, [join(installed, 'bin', 'hoop.js'), '--version'], {
        encoding: 'utf8',
        env: { ...process.env, HOOP_HOME: home, NODE_DISABLE_COMPILE_CACHE: undefined },
      });
    beforeAll(() => {
      installed = join(directory, 'installed');
      for (const part of ['bin', 'dist', 'package.json']) {
        const filter = (from: string): boolean => from !== join('dist', 'code');
        cpSync(part, join(installed, part), { recursive: true, filter });
      }
    });

    test('are kept where only the user can write, and nowhere else', () => {
      const own = join(directory, 'own');
      expect(run(own).stdout).toBe(`${version}\n`);
      expect(statSync(join(own, 'code')).mode & 0o777).toBe(0o700);
      expect(readdirSync(join(own, 'code'))).not.toEqual([]);
      const open = join(directory, 'open');
      mkdirSync(join(open, 'code'), { recursive: true });
      chmodSync(join(open, 'code'), 0o777);
      expect(run(open).stdout).toBe(`${version}\n`);
      expect(readdirSync(join(open, 'code'))).toEqual([]);
      const broken = join(directory, 'broken');
      writeFileSync(broken, 'no directory');
      expect(run(broken)).toMatchObject({ stdout: `${version}\n`, stderr: '', status: 0 });
    });

    test('are kept beside the bundle for all homes, where only the user can write', () => {
      const beside = join(installed, 'dist', 'code');
      mkdirSync(beside);
      chmodSync(beside, 0o777);
      const home = join(directory, 'home');
      expect(run(home).stdout).toBe(`${version}\n`);
      expect(readdirSync(beside)).toEqual([]);
      expect(readdirSync(join(home, 'code'))).not.toEqual([]);
      chmodSync(beside, 0o700);
      const another = join(directory, 'another');
      expect(run(another).stdout).toBe(`${version}\n`);
      expect(readdirSync(beside)).not.toEqual([]);
      expect(existsSync(another)).toBe(false);
    });

    test('have a directory in what the build makes, and it is not published', () => {
      expect(statSync(join('dist', 'code')).mode & 0o777).toBe(0o700);
      expect(JSON.parse(readFileSync('package.json', 'utf8')).files).toContain('!dist/code');
    });
  });

  test('a part of the bundle that vanishes under a call is told in words', () => {
    const place = join(directory, 'rebuilt');
    for (const part of ['bin', 'dist', 'package.json']) {
      cpSync(part, join(place, part), { recursive: true });
    }
    const run = (...words: readonly string[]) =>
      spawnSync(process.execPath, [join(place, 'bin', 'hoop.js'), ...words], {
        encoding: 'utf8',
        env: { ...process.env, HOOP_HOME: directory },
      });
    const remove = (name: RegExp): string => {
      const file = readdirSync(join(place, 'dist')).find((one) => name.test(one)) ?? '';
      rmSync(join(place, 'dist', file));
      return file;
    };
    const told = /^hoop: error: a file of hoop itself is missing: (.*)\nhoop: hint: .*\n$/;
    const ofCommand = remove(/^config-run-/);
    const late = run('config', 'list');
    expect(told.exec(late.stderr)?.[1]).toContain(ofCommand);
    expect(late.status).toBe(1);
    const main = readFileSync(join(place, 'dist', 'main.js'), 'utf8');
    remove(new RegExp(`^${/chunk-\w+/.exec(main)?.[0]}\\.js$`));
    const early = run('run', '--', 'true');
    expect(early.stderr).toMatch(told);
    expect(early.status).toBe(255);
  });

  test('on an old Node it goes on with the runtime of the checkout, and returns its status', () => {
    const run = spawnSync(process.execPath, ['--require', oldNode, 'bin/hoop.js', '--version'], {
      encoding: 'utf8',
    });
    expect(run.stdout).toBe(`${version}\n`);
    expect(run.status).toBe(0);
    const wrong = spawnSync(
      process.execPath,
      ['--require', oldNode, 'bin/hoop.js', 'no-such-command'],
      { encoding: 'utf8' },
    );
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('hoop: error: unknown command');
  });

  test('on an old Node without a runtime it says so in one line', () => {
    cpSync('bin', join(directory, 'bin'), { recursive: true });
    const run = spawnSync(
      process.execPath,
      ['--require', oldNode, join(directory, 'bin', 'hoop.js'), '--version'],
      { encoding: 'utf8' },
    );
    expect(run.stdout).toBe('');
    expect(run.stderr).toBe(
      'hoop: error: this needs Node.js 24.11 or newer, but "node" on PATH is 18.0.0; a newer one has to come first: https://nodejs.org/en/download\n',
    );
    expect(run.status).toBe(1);
  });

  test('a signal reaches the program behind it, and the way it died is passed on', async () => {
    const child = spawn(
      process.execPath,
      ['--require', oldNode, 'bin/hoop.js', 'demo', '--check'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, TMPDIR: directory },
      },
    );
    // Its first line on stderr: the program behind the launcher runs.
    await once(child.stderr, 'data');
    let said = '';
    child.stderr.on('data', (data) => {
      said += data;
    });
    // Node.js would open its debugger, to everybody on the machine.
    child.kill('SIGUSR1');
    child.kill('SIGTERM');
    const [code, signal] = await once(child, 'close');
    expect(code ?? signal).toBe(143);
    expect(said).not.toContain('Debugger');
  });

  test.runIf(SYSTEM_NODE !== undefined)(
    'when its terminal vanishes it ends by SIGHUP, on the Node of the system (older than 24) too',
    async () => {
      const status = join(directory, 'status');
      const inner = join(directory, 'inner.sh');
      // The shell outlives the hangup to tell how the launcher ended.
      writeFileSync(
        inner,
        `trap : HUP\n${SYSTEM_NODE} bin/hoop.js demo --check\necho $? > ${status}.new\nmv ${status}.new ${status}\n`,
      );
      const terminal = spawn('script', ['-qec', `sh -c 'sh ${inner}; true'`, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: { ...process.env, TMPDIR: directory },
      });
      let screen = '';
      terminal.stdout.on('data', (text) => {
        screen += String(text);
      });
      await expect.poll(() => screen).toContain('hoop: starting');
      terminal.kill('SIGKILL');
      await expect.poll(() => existsSync(status)).toBe(true);
      expect(readFileSync(status, 'utf8')).toBe('129\n');
    },
  );

  test('it is old syntax: no arrow functions, const or import before the version is known', () => {
    const text = readFileSync('bin/hoop.js', 'utf8').replaceAll(/\/\/.*$/gm, '');
    expect(text).not.toMatch(/=>|\bconst\b|\blet\b|\bimport\b|`/);
  });
});

describe('wrong usage', () => {
  test('an unknown option names itself and exits with 2', () => {
    const run = spawnSync(process.execPath, ['bin/hoop.js', 'targets', '--colour'], {
      encoding: 'utf8',
    });
    expect(run.stderr).toContain("hoop: error: unknown option '--colour'");
    expect(run.stdout).toBe('');
    expect(run.status).toBe(2);
  });

  test('a command that is misspelt gets the one that was meant, and JSON stays JSON', () => {
    const text = spawnSync(process.execPath, ['bin/hoop.js', 'conect'], { encoding: 'utf8' });
    expect(text.stderr).toBe(
      "hoop: error: unknown command 'conect'\nhoop: hint: Did you mean connect?\nhoop: hint: `hoop --help` lists the commands.\n",
    );
    const args = ['bin/hoop.js', 'sessions', 'lst', '--json'];
    const json = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stderr)).toEqual({
      v: 1,
      error: { code: 'HOOP_USAGE', message: "unknown command 'lst'", hint: 'Did you mean list?' },
    });
  });

  test('an address that no gateway has is wrong usage where it was typed', () => {
    const args = ['bin/hoop.js', 'login', '--gateway', 'ftp://gw.example.com'];
    const env = { ...process.env, HOOP_HOME: join(directory, 'empty') };
    const run = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    expect(run.stderr).toContain(
      'hoop: error: the gateway address "ftp://gw.example.com" does not',
    );
    expect(run.stdout).toBe('');
    expect(run.status).toBe(2);
  });

  test('a command without a gateway says how to log in, also as JSON', () => {
    const env = { ...process.env, HOOP_HOME: join(directory, 'empty'), HOOP_GATEWAY: '' };
    const run = spawnSync(process.execPath, ['bin/hoop.js', 'targets'], { encoding: 'utf8', env });
    expect(run.stderr).toMatch(/^hoop: error: /);
    expect(run.stderr).toContain('hoop login --gateway');
    expect(run.stdout).toBe('');
    const json = spawnSync(process.execPath, ['bin/hoop.js', 'targets', '--json'], {
      encoding: 'utf8',
      env,
    });
    expect(JSON.parse(json.stderr)).toMatchObject({
      v: 1,
      error: { code: expect.stringMatching(/^HOOP_/) },
    });
  });

  test('without a login and without a keychain nothing of the system’s bus is shown', () => {
    const run = spawnSync(process.execPath, ['bin/hoop.js', 'whoami'], {
      encoding: 'utf8',
      env: {
        ...process.env,
        HOOP_HOME: join(directory, 'empty'),
        HOOP_GATEWAY: 'https://127.0.0.1:1',
        HOOP_TOKEN_STORE: '',
        DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus',
      },
    });
    expect(run.status).toBe(3);
    expect(run.stderr).toContain('hoop: error: not logged in to "https://127.0.0.1:1"');
    expect(run.stderr).toContain('no keychain on this machine answers');
    expect(run.stderr).not.toMatch(/d-?bus|zbus|secret service|nonexistent/i);
  });

  test('--help shows every command and exits with 0', () => {
    const run = spawnSync(process.execPath, ['bin/hoop.js', '--help'], { encoding: 'utf8' });
    for (const command of [
      'login',
      'logout',
      'whoami',
      'targets',
      'connect',
      'sessions',
      'policy',
      'gateway',
      'demo',
    ]) {
      expect(run.stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    }
    expect(run.status).toBe(0);
  });
});
