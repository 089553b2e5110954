import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bubblewrapArguments } from '../../../src/run/fence/bubblewrap-arguments.ts';
import {
  type FenceView,
  type FenceViewOptions,
  fenceView,
} from '../../../src/run/fence/fence-view.ts';
import { pathsIn } from '../../../src/run/fence/listening-sockets.ts';

let root: string;
let home: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-view-')));
  home = join(root, 'person');
  make(
    'person/project/',
    'person/.config/hoop/',
    'person/.local/state/hoop/',
    'person/.local/state/hoop/runs/mine/',
    'runtime/hoop/mine/',
  );
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Directories end with a slash. */
function make(...paths: readonly string[]): void {
  for (const path of paths) {
    const full = join(root, path);
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (!path.endsWith('/')) {
      writeFileSync(full, 'secret\n');
    }
  }
}

function view(options: Partial<FenceViewOptions> = {}): FenceView {
  return fenceView({
    env: {},
    cwd: join(home, 'project'),
    hoopHomes: [
      {
        config: join(home, '.config/hoop'),
        state: join(home, '.local/state/hoop'),
        runtime: join(root, 'runtime/hoop'),
      },
    ],
    homes: [home],
    runDirectory: join(root, 'runtime/hoop/mine'),
    runState: join(home, '.local/state/hoop/runs/mine'),
    programs: [],
    sockets: [],
    hide: [],
    show: [home],
    write: [],
    ...options,
  });
}

/** Layers below the test's directory, by path in it. */
function layers({ layers: all }: FenceView): Record<string, string> {
  return Object.fromEntries(
    all
      .filter(({ path }) => path.startsWith(`${root}/`))
      .map(({ path, as }) => [path.slice(root.length + 1), as]),
  );
}

const USUAL = {
  person: 'readable',
  'person/.config/hoop': 'hidden',
  'person/.local/state/hoop': 'hidden',
  'person/project': 'writable',
  'person/.local/state/hoop/runs/mine': 'writable',
  'runtime/hoop/mine': 'writable',
};

describe('what a fenced command sees', () => {
  test('the working directory is writable, hoop’s own places are hidden but for those of the run', () => {
    expect(layers(view())).toEqual(USUAL);
    expect(view().cwdIs).toBe('writable');
  });

  test('credentials are hidden, also behind a link and where a variable has moved them', () => {
    make('person/.ssh/id_ed25519', 'person/.pgpass', 'person/dotfiles/aws/credentials');
    make('elsewhere/kube/one', 'elsewhere/kube/two', 'person/keys/gcp.json', 'elsewhere/job-token');
    symlinkSync(join(home, 'dotfiles/aws'), join(home, '.aws'));
    const kubeconfig = ['one', 'two', 'three'].map((name) => join(root, 'elsewhere/kube', name));
    const env = {
      KUBECONFIG: kubeconfig.join(':'),
      GOOGLE_APPLICATION_CREDENTIALS: join(home, 'keys/gcp.json'),
      HOOP_IDENTITY_TOKEN_FILE: join(root, 'elsewhere/job-token'),
    };
    expect(layers(view({ env, show: [root] }))).toEqual({
      'person/.config/hoop': 'hidden',
      'person/.local/state/hoop': 'hidden',
      'person/project': 'writable',
      'runtime/hoop': 'hidden',
      'person/.local/state/hoop/runs/mine': 'writable',
      'runtime/hoop/mine': 'writable',
      'person/.ssh': 'hidden',
      'person/.pgpass': 'hidden',
      'person/dotfiles/aws': 'hidden',
      'elsewhere/kube/one': 'hidden',
      'elsewhere/kube/two': 'hidden',
      'elsewhere/job-token': 'hidden',
      'person/keys/gcp.json': 'hidden',
    });
  });

  test('a variable that names the home directory does not hide it', () => {
    expect(layers(view({ env: { DOCKER_CONFIG: home, PGSYSCONFDIR: root } }))).toEqual(USUAL);
  });

  test('the nearest of two layers decides, and it is put on last', () => {
    make('person/.docker/config.json', 'person/.docker/cli/', 'person/project/vault/key');
    const shown = view({
      hide: ['vault'],
      show: [home, '~/.docker/cli'],
      write: [join(home, 'project/vault/key')],
    });
    expect(layers(shown)).toEqual({
      ...USUAL,
      'person/.docker': 'hidden',
      'person/.docker/cli': 'readable',
      'person/project/vault': 'hidden',
      'person/project/vault/key': 'writable',
    });
    const paths = shown.layers.map(({ path }) => path);
    expect(paths.indexOf(join(home, '.docker'))).toBeLessThan(
      paths.indexOf(join(home, '.docker/cli')),
    );
  });

  test('what is shown or written by name is not hidden', () => {
    make('person/.npmrc', 'person/.kube/config');
    expect(layers(view({ show: [home, '~/.npmrc'], write: ['~/.kube'] }))).toEqual({
      ...USUAL,
      'person/.kube': 'writable',
    });
  });

  test('sockets that somebody listens on are hidden, in the working directory as well', () => {
    make('person/project/db/.s.PGSQL.5432', 'person/app.sock', 'tmp-like/agent.sock');
    const sockets = ['person/project/db/.s.PGSQL.5432', 'person/app.sock', 'tmp-like/agent.sock'];
    expect(layers(view({ sockets: sockets.map((path) => join(root, path)) }))).toEqual({
      ...USUAL,
      'person/project/db/.s.PGSQL.5432': 'hidden',
      'person/app.sock': 'hidden',
    });
  });

  test('programs of hoop are seen where they would be covered, and do not cover the work', () => {
    make('opt/hoop/', 'person/project/node_modules/hoop/', 'person/lib/hoop/');
    const programs = ['opt/hoop/', 'person/project/node_modules/hoop', 'person/lib/hoop'];
    expect(layers(view({ programs: programs.map((path) => join(root, path)) }))).toEqual({
      ...USUAL,
      'opt/hoop': 'readable',
    });
  });

  test('the home directory and what everybody uses is no place to work in', () => {
    for (const [cwd, as] of [
      [home, 'readable'],
      [root, 'readable'],
      ['/', 'readable'],
      // The run's own: what is written there does not reach anybody.
      ['/tmp', 'private'],
      ['/run', 'private'],
    ] as const) {
      const seen = view({ cwd });
      expect(seen.cwdIs).toBe(as);
      expect(layers(seen)).not.toHaveProperty(['person/project']);
    }
  });

  test('a working directory that is hidden is refused, one that is shown is not', () => {
    make('person/.kube/work/');
    const cwd = join(home, '.kube/work');
    expect(() => view({ cwd })).toThrow('the working directory is hidden');
    expect(() => view({ cwd })).toThrow(expect.objectContaining({ code: 'HOOP_FENCE' }));
    expect(() => view({ cwd: join(home, '.local/state/hoop') })).toThrow('hidden');
    expect(view({ cwd, show: [home, '~/.kube'] }).cwdIs).toBe('writable');
  });

  test('hoop’s own places cannot be shown, nor what is not there', () => {
    for (const place of [
      '~/.config/hoop',
      '~/.local/state/hoop',
      join(root, 'runtime/hoop/mine'),
    ]) {
      expect(() => view({ show: [place] })).toThrow('cannot be shown');
      expect(() => view({ write: [place] })).toThrow('cannot be shown');
    }
    // Around them is another thing: they stay hidden in it.
    expect(layers(view({ write: ['~/.config'] }))['person/.config/hoop']).toBe('hidden');
    expect(() => view({ write: ['~/nowhere'] })).toThrow('is not there');
  });
});

describe('git', () => {
  function git(cwd: string, ...args: string[]): void {
    const identity = ['-c', 'user.name=a', '-c', 'user.email=a@example.com'];
    execFileSync('git', [...identity, ...args], { cwd: join(root, cwd), stdio: 'pipe' });
  }

  test('can commit from a directory below the top, and from a linked worktree', () => {
    make('person/repo/sub/');
    git('person/repo', 'init', '-q');
    git('person/repo', 'commit', '-q', '--allow-empty', '-m', 'first');
    git('person/repo', 'worktree', 'add', '-q', '../other');
    expect(layers(view({ cwd: join(home, 'repo/sub') }))).toMatchObject({
      'person/repo/sub': 'writable',
      'person/repo/.git': 'writable',
    });
    expect(layers(view({ cwd: join(home, 'other') }))).toMatchObject({
      'person/other': 'writable',
      'person/repo/.git': 'writable',
    });
    expect(layers(view({ cwd: join(home, 'repo') }))).toMatchObject({ 'person/repo': 'writable' });
  });

  test('a .git file that came with an archive does not make anything writable', () => {
    make('person/repo/');
    git('person/repo', 'init', '-q');
    writeFileSync(join(home, 'project/.git'), `gitdir: ${join(home, 'repo/.git')}\n`);
    expect(layers(view())).toEqual(USUAL);
    // Named back, as a worktree is, but what it leads to is no repository.
    make('person/project/fake/');
    writeFileSync(join(home, 'project/.git'), 'gitdir: fake\n');
    writeFileSync(join(home, 'project/fake/gitdir'), join(home, 'project/.git'));
    writeFileSync(join(home, 'project/fake/commondir'), home);
    expect(layers(view())).toEqual(USUAL);
  });
});

test('the table of unix sockets gives the paths, with blanks, and no abstract names', () => {
  const table = `Num       RefCount Protocol Flags    Type St Inode Path
ffff9a2a4c1f1000: 00000002 00000000 00010000 0001 01 23456 /run/user/1000/bus
0000000000000000: 00000002 00000000 00010000 0001 01 23457 @/tmp/.X11-unix/X0
0000000000000000: 00000003 00000000 00000000 0001 03 23458
0000000000000000: 00000003 00000000 00000000 0001 03 23459 /run/user/1000/bus
0000000000000000: 00000002 00000000 00010000 0001 01     7 /home/a b/c.sock
0000000000000000: 00000002 00000000 00010000 0001 01     8 relative.sock
`;
  expect(pathsIn(table)).toEqual(['/run/user/1000/bus', '/home/a b/c.sock']);
});

test('bwrap gets the layers in their order, between the root and the place to start in', () => {
  const args = bubblewrapArguments({
    view: {
      cwd: '/home/a/project',
      cwdIs: 'writable',
      layers: [
        { path: '/tmp', as: 'private', isDirectory: true },
        { path: '/home/a/.ssh', as: 'hidden', isDirectory: true },
        { path: '/home/a/.pgpass', as: 'hidden', isDirectory: false },
        { path: '/home/a/project', as: 'writable', isDirectory: true },
      ],
    },
    filterDescriptor: 6,
    runtimeDirectory: '/run/user/1000',
  });
  const text = args.join(' ');
  expect(text).toContain('--unshare-net');
  expect(text).toContain('--cap-drop ALL');
  expect(text).toContain(
    '--ro-bind / / --dev /dev --proc /proc --perms 1777 --tmpfs /tmp --perms 0700 --tmpfs /home/a/.ssh ' +
      '--ro-bind /dev/null /home/a/.pgpass --bind /home/a/project /home/a/project',
  );
  expect(args.slice(-2)).toEqual(['--chdir', '/home/a/project']);
});
