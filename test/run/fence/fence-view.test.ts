import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bubblewrapArguments } from '../../../src/run/fence/bubblewrap-arguments.ts';
import { explainFailure, PlaceGone } from '../../../src/run/fence/explain-failure.ts';
import {
  type FenceView,
  type FenceViewOptions,
  fenceView,
} from '../../../src/run/fence/fence-view.ts';
import { isBelow } from '../../../src/run/fence/is-below.ts';
import type { Known } from '../../../src/run/fence/known-places.ts';
import { Layers } from '../../../src/run/fence/layers.ts';
import { listeningSockets, socketsIn } from '../../../src/run/fence/listening-sockets.ts';
import { parseMounts } from '../../../src/run/fence/mount-table.ts';

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
    ownPlaces: [
      join(home, '.config/hoop'),
      join(home, '.local/state/hoop'),
      join(root, 'runtime/hoop'),
    ],
    known: { places: [], links: [] },
    homes: [home],
    runDirectory: join(root, 'runtime/hoop/mine'),
    runState: join(home, '.local/state/hoop/runs/mine'),
    programs: [],
    sockets: [],
    mounts: [],
    hide: [],
    show: [home],
    write: [],
    ...options,
  });
}

type Looks = 'gone' | 'empty' | 'readable' | 'writable' | 'private' | 'shadowed';

/** How paths in the test's directory look inside, by the mounts that are put on one after another. */
function looks(view: FenceView, ...paths: readonly string[]): Record<string, Looks> {
  return Object.fromEntries(paths.map((path) => [path, look(view, join(root, path))]));
}

function look({ layers }: FenceView, path: string): Looks {
  const layer = layers.findLast((one) => isBelow(path, one.path));
  if (layer === undefined) {
    return 'readable';
  }
  const rest = relative(layer.path, path);
  switch (layer.as) {
    case 'private':
      return layer.path === path ? 'private' : 'gone';
    case 'hidden':
      return rest === '' ? 'empty' : 'gone';
    case 'cut':
      return rest === '' || layer.entries?.some(({ name }) => name === rest.split('/')[0])
        ? 'readable'
        : 'gone';
    default:
      return layer.as;
  }
}

const USUAL = {
  person: 'readable',
  'person/.config/hoop': 'gone',
  'person/.local/state/hoop/tokens.json': 'gone',
  'person/project': 'writable',
  'person/.local/state/hoop/runs/mine': 'writable',
  'runtime/hoop/mine': 'writable',
} as const;

function expectLooks(view: FenceView, expected: Readonly<Record<string, Looks>>): void {
  expect(looks(view, ...Object.keys(expected))).toEqual(expected);
}

describe('what a fenced command sees', () => {
  test('the working directory is writable, hoop’s own places are hidden but for those of the run', () => {
    make('person/.local/state/hoop/tokens.json');
    expectLooks(view(), USUAL);
    expect(view().cwdIs).toBe('writable');
  });

  test('credentials are hidden, also behind a link and where a variable has moved them', () => {
    make('person/.ssh/id_ed25519', 'person/.pgpass', 'person/dotfiles/aws/credentials');
    make('elsewhere/kube/one', 'elsewhere/kube/two', 'person/keys/gcp.json', 'elsewhere/job-token');
    make('elsewhere/kube/notes', 'person/dotfiles/vimrc', 'person/keys/notes');
    symlinkSync(join(home, 'dotfiles/aws'), join(home, '.aws'));
    symlinkSync(join(home, 'dotfiles/vimrc'), join(home, '.vimrc'));
    const kubeconfig = ['one', 'two', 'three'].map((name) => join(root, 'elsewhere/kube', name));
    const env = {
      KUBECONFIG: kubeconfig.join(':'),
      GOOGLE_APPLICATION_CREDENTIALS: join(home, 'keys/gcp.json'),
      HOOP_IDENTITY_TOKEN_FILE: join(root, 'elsewhere/job-token'),
    };
    const seen = view({ env, show: [root] });
    expectLooks(seen, {
      'person/project': 'writable',
      'runtime/hoop/other': 'gone',
      'runtime/hoop/mine': 'writable',
      'person/.ssh': 'gone',
      'person/.pgpass': 'gone',
      'person/.aws': 'gone',
      'person/dotfiles/aws': 'gone',
      'elsewhere/kube/one': 'gone',
      'elsewhere/kube/two': 'gone',
      'elsewhere/job-token': 'gone',
      'person/keys/gcp.json': 'gone',
      'elsewhere/kube/notes': 'readable',
      'person/dotfiles/vimrc': 'readable',
      'person/keys/notes': 'readable',
      'person/.vimrc': 'readable',
    });
    const ofHome = seen.layers.find(({ path }) => path === home);
    expect(ofHome?.entries).toContainEqual({
      name: '.vimrc',
      target: join(home, 'dotfiles/vimrc'),
    });
  });

  test('logins of agents are hidden, but for those of the agent that is inside', () => {
    const logins = ['.claude/.credentials.json', '.claude.json', '.codex/auth.json'];
    logins.push('.gemini/oauth_creds.json', '.local/share/opencode/auth.json', 'moved/auth.json');
    logins.push('.codex/.credentials.json', '.copilot/config.json', '.qwen/mcp-oauth-tokens.json');
    make(...logins.map((name) => `person/${name}`), 'person/.claude/skills/', 'person/copy/x/');
    make('person/.claude/settings.json', 'person/.cassandra/cqlshrc', 'person/.var/app/x');
    const gone = Object.fromEntries(logins.map((name) => [`person/${name}`, 'gone' as const]));
    const env = { CODEX_HOME: join(home, 'moved') };
    expectLooks(view({ env }), {
      ...gone,
      'person/.claude/settings.json': 'readable',
      'person/.cassandra/cqlshrc': 'gone',
      'person/.var/app/x': 'gone',
    });
    const ofClaude = {
      'person/.claude/.credentials.json': 'readable',
      'person/.claude.json': 'readable',
    } as const;
    expectLooks(view({ env, write: [join(home, '.claude/skills')] }), { ...gone, ...ofClaude });
    expectLooks(view({ env, show: [home, join(home, 'moved')] }), {
      ...gone,
      'person/moved/auth.json': 'readable',
      'person/.codex/auth.json': 'readable',
      'person/.codex/.credentials.json': 'readable',
    });
    const shadows = [
      { path: join(home, '.codex'), source: join(home, 'copy/x'), real: [], instructions: [] },
    ];
    expectLooks(view({ env, shadows }), {
      ...gone,
      'person/.codex/auth.json': 'shadowed',
      'person/.codex/.credentials.json': 'shadowed',
      'person/moved/auth.json': 'readable',
    });
  });

  test('the login of the agent that is inside stays where a link leads to its state', () => {
    make('person/dotfiles/claude/.credentials.json', 'person/dotfiles/claude.json');
    symlinkSync('dotfiles/claude', join(home, '.claude'));
    symlinkSync('dotfiles/claude.json', join(home, '.claude.json'));
    const logins = ['person/dotfiles/claude/.credentials.json', 'person/dotfiles/claude.json'];
    const looks = (as: Looks) => Object.fromEntries(logins.map((name) => [name, as]));
    expectLooks(view(), looks('gone'));
    expectLooks(view({ show: [home, join(home, '.claude')] }), looks('readable'));
  });

  test('what was typed into any shell or program is hidden, whatever it calls its file', () => {
    const hidden = ['.bash_history', '.mysql_history', '.python_history', '.psql_history-prod'];
    hidden.push('.histfile', '.history', '.node_repl_history', '.sqlite_history', '.lesshst');
    hidden.push('.zsh_history', '.duckdb_history', '.irb_history', '.rediscli_history');
    const kept = ['.bashrc', 'history.txt', '.historical-data', '.gitconfig'];
    make(...[...hidden, ...kept].map((name) => `person/${name}`), 'elsewhere/dbt/profiles.yml');
    expectLooks(view({ env: { DBT_PROFILES_DIR: join(root, 'elsewhere/dbt') }, show: [root] }), {
      ...Object.fromEntries(hidden.map((name) => [`person/${name}`, 'gone' as const])),
      ...Object.fromEntries(kept.map((name) => [`person/${name}`, 'readable' as const])),
      'elsewhere/dbt/profiles.yml': 'gone',
    });
  });

  test('keys are hidden where a file system has them a second time: a mount, snapshots', () => {
    make('person/.ssh/id', 'second/.ssh/id', 'second/notes', 'elsewhere/kube', 'third/kube');
    make('.zfs/snapshot/one/person/.ssh/id', 'person/.snapshot/hourly.0/.ssh/id');
    const mount = (id: number, part: string, point: string) =>
      `${id} ${id === 1 ? 0 : 1} 8:1 ${part} ${point} rw - ext4 x rw\n`;
    const table =
      mount(1, '/', '/') +
      mount(2, home, join(root, 'second')) +
      mount(3, join(root, 'elsewhere'), join(root, 'third'));
    const env = { KUBECONFIG: join(root, 'elsewhere/kube') };
    expectLooks(view({ env, mounts: parseMounts(table), show: [root] }), {
      'person/.ssh/id': 'gone',
      'second/.ssh/id': 'gone',
      'second/notes': 'readable',
      'third/kube': 'gone',
      '.zfs/snapshot/one/person/.ssh/id': 'gone',
      'person/.snapshot/hourly.0/.ssh/id': 'gone',
      'person/project': 'writable',
    });
  });

  test('histories are hidden where zsh has its files', () => {
    make('zsh/.zsh_history', 'zsh/.zshrc', 'person/.config/zsh/.zsh_history');
    expectLooks(view({ env: { ZDOTDIR: join(root, 'zsh') }, show: [root] }), {
      'zsh/.zsh_history': 'gone',
      'zsh/.zshrc': 'readable',
      'person/.config/zsh/.zsh_history': 'gone',
    });
  });

  test('hooks of repositories in the working directory, and of submodules, are read-only', () => {
    const git = (path: string): string[] => [
      `${path}/HEAD`,
      `${path}/objects/`,
      `${path}/refs/`,
      `${path}/hooks/`,
    ];
    make(...git('person/project/.git'), ...git('person/project/vendor/deep/lib/.git'));
    make(...git('person/project/.git/modules/group/name'), 'person/project/vendor/hooks/');
    expectLooks(view(), {
      'person/project/.git/hooks': 'readable',
      'person/project/vendor/deep/lib/.git/hooks': 'readable',
      'person/project/vendor/deep/lib/.git/index': 'writable',
      'person/project/.git/modules/group/name/hooks': 'readable',
      'person/project/vendor/hooks': 'writable',
      'person/project/vendor/deep/lib': 'writable',
    });
  });

  test('what is not there yet, or is replaced, has no name inside', () => {
    make('person/.config/tool/', 'person/.local/share/tool/');
    expectLooks(view({ env: { NETRC: join(root, 'person/.config/tool/netrc') } }), {
      'person/.pgpass': 'gone',
      'person/.config/gh': 'gone',
      'person/.local/share/keyrings': 'gone',
      // Written beside and renamed, as programs renew a key.
      'person/.pgpass.new': 'gone',
      'person/.config/tool': 'readable',
      'person/.config/tool/netrc': 'gone',
      'person/.local/share/tool': 'readable',
    });
  });

  test('programs of the person are read-only where a directory was opened, not those of the project', () => {
    make('person/go/bin/tool', 'person/go/pkg/x', 'person/project/.venv/bin/python');
    const dirs = ['go/bin', 'project/.venv/bin'].map((name) => join(home, name));
    const go = join(home, 'go');
    const env = { PATH: dirs.join(':') };
    expectLooks(view({ env, write: [go] }), {
      'person/go/pkg/x': 'writable',
      'person/go/bin/tool': 'readable',
      'person/project/.venv/bin/python': 'writable',
    });
    expectLooks(view({ env, write: [go, join(go, 'bin')] }), { 'person/go/bin/tool': 'writable' });
  });

  test('what a hidden or a protected place stands in cannot be renamed where it may be written', () => {
    make('person/.config/tool/deep/secret', 'person/.config/other/');
    const seen = view({ write: ['~/.config'], hide: ['~/.config/tool/deep/secret'] });
    expectLooks(seen, {
      'person/.config/other': 'writable',
      'person/.config/tool/deep/secret': 'empty',
      'person/.config/hoop': 'empty',
    });
    const mounted = seen.layers.map(({ path }) => path);
    expect(mounted).toEqual(
      expect.arrayContaining(
        ['', '/tool', '/tool/deep'].map((path) => join(home, '.config') + path),
      ),
    );
    expect(mounted).not.toContain(join(home, '.config/other'));
  });

  test('places of hoop that are not there yet are made where a command could make them', () => {
    rmSync(join(home, '.config/hoop'), { recursive: true });
    expectLooks(view({ write: ['~/.config'] }), { 'person/.config/hoop': 'empty' });
    rmSync(join(home, '.config/hoop'), { recursive: true });
    view();
    expect(existsSync(join(home, '.config/hoop'))).toBe(false);
  });

  test('a variable that names the home directory does not hide it', () => {
    expectLooks(view({ env: { DOCKER_CONFIG: home, PGSYSCONFDIR: root } }), USUAL);
  });

  test('the nearest of two layers decides, and it is put on last', () => {
    make('person/.docker/config.json', 'person/.docker/cli/', 'person/project/vault/key');
    const shown = view({
      hide: ['vault'],
      show: [home, '~/.docker/cli'],
      write: [join(home, 'project/vault/key')],
    });
    expectLooks(shown, {
      ...USUAL,
      'person/.docker/config.json': 'gone',
      'person/.docker/cli': 'readable',
      'person/project/vault': 'empty',
      'person/project/vault/key': 'writable',
    });
    const paths = shown.layers.map(({ path }) => path);
    expect(paths.indexOf(home)).toBeLessThan(paths.indexOf(join(home, '.docker/cli')));
  });

  test('what is shown or written by name is not hidden', () => {
    make('person/.npmrc', 'person/.kube/config');
    expectLooks(view({ show: [home, '~/.npmrc'], write: ['~/.kube'] }), {
      ...USUAL,
      'person/.npmrc': 'readable',
      'person/.kube/config': 'writable',
    });
  });

  test('sockets that somebody listens on are hidden, in the working directory as well', () => {
    make('person/project/db/.s.PGSQL.5432', 'person/app.sock', 'tmp-like/agent.sock');
    const sockets = ['person/project/db/.s.PGSQL.5432', 'person/app.sock', 'tmp-like/agent.sock'];
    expectLooks(view({ sockets: sockets.map((path) => join(root, path)) }), {
      ...USUAL,
      'person/project/db/.s.PGSQL.5432': 'empty',
      'person/app.sock': 'gone',
    });
  });

  test.runIf(process.getuid?.() === 0)(
    'of what stands in a private directory of somebody else, root hides the directory',
    () => {
      make('shared/theirs/deep/agent.sock', 'shared/open/agent.sock', 'shared/ours/agent.sock');
      chmodSync(join(root, 'shared/theirs'), 0o700);
      chownSync(join(root, 'shared/theirs'), 64_123, 64_123);
      chmodSync(join(root, 'shared/ours'), 0o700);
      const sockets = ['theirs/deep', 'open', 'ours'].map((name) =>
        join(root, 'shared', name, 'agent.sock'),
      );
      const seen = view({ show: [root], sockets });
      expectLooks(seen, {
        'shared/theirs': 'empty',
        'shared/theirs/deep/agent.sock': 'gone',
        'shared/open/agent.sock': 'gone',
        'shared/ours/agent.sock': 'gone',
        'shared/ours': 'readable',
      });
      // Where bwrap cannot go it would end.
      expect(seen.layers.filter(({ path }) => path.includes('/theirs/'))).toEqual([]);
    },
  );

  test('a directory in which something vanished is made anew, down to what is hidden in it', () => {
    make('shared/one/two/agent.sock', 'shared/one/notes.txt', 'shared/other/');
    const sockets = [join(root, 'shared/one/two/agent.sock')];
    const unsteady = ['shared/one/two', 'shared', 'shared/one'].map((path) => join(root, path));
    const seen = view({ show: [root], sockets, unsteady });
    expectLooks(seen, {
      'shared/one/two/agent.sock': 'gone',
      'shared/one/notes.txt': 'readable',
      'shared/other': 'readable',
      'shared/later': 'gone',
    });
    // A mount on what is not there outside needs a directory that is new.
    const made = seen.layers.filter(({ as }) => as === 'cut').map(({ path }) => path);
    expect(made).toEqual(expect.arrayContaining(unsteady));
    const before = view({ show: [root], sockets });
    expect(before.layers.find(({ path }) => path === join(root, 'shared'))).toBeUndefined();
  });

  test.each(['hidden', 'writable'] as const)(
    'what vanishes before it is %s may come back: all is looked at anew',
    (as) => {
      const layers = new Layers();
      layers.put(as, [join(root, 'vanished')]);
      expect(() => layers.ordered([], [])).toThrow(PlaceGone);
    },
  );

  test.each([
    "bwrap: Can't find source path /srv/a b: No such file or directory",
    "bwrap: Can't create file at /srv/a b: Read-only file system",
    "bwrap: Can't mkdir /srv/a b: Read-only file system",
    `bwrap: Can't remount readonly on /newroot/srv/a b: Unable to find "/newroot/srv/a b" in mount table`,
    `bwrap: Can't bind mount /oldroot/x on /newroot/srv/a b: Unable to find "/newroot/srv/a b" in mount table`,
  ])('what vanishes is known by what bwrap says: %s', (said) => {
    expect(explainFailure(said)).toMatchObject({ path: '/srv/a b' });
  });

  test('what is in /dev is not there unless it is named: a socket in /dev/shm needs no mount', () => {
    const shared = mkdtempSync('/dev/shm/hoop-view-');
    try {
      const [socket, shown] = [join(shared, '.s.PGSQL.5432'), join(shared, 'shown')];
      writeFileSync(socket, '');
      writeFileSync(shown, '');
      const { layers } = view({ sockets: [socket], show: [shown] });
      expect(layers.filter(({ path }) => isBelow(path, '/dev'))).toEqual([
        { path: shown, as: 'readable', isDirectory: false },
      ]);
    } finally {
      rmSync(shared, { recursive: true });
    }
  });

  test('programs of hoop are seen where they would be covered, and cannot be written', () => {
    make('opt/hoop/', 'person/project/node_modules/hoop/', 'person/lib/hoop/');
    const programs = ['opt/hoop/', 'person/project/node_modules/hoop', 'person/lib/hoop'];
    expectLooks(view({ programs: programs.map((path) => join(root, path)) }), {
      ...USUAL,
      'opt/hoop': 'readable',
      'person/lib/hoop': 'readable',
      // The next hoop that is started there has all rights.
      'person/project/node_modules/hoop': 'readable',
      'person/project/node_modules/other': 'writable',
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
      expectLooks(seen, { 'person/project': 'readable' });
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
    expectLooks(view({ write: ['~/.config'] }), { 'person/.config/hoop': 'empty' });
    expect(() => view({ write: ['~/nowhere'] })).toThrow('does not exist');
  });
});

describe('git', () => {
  function git(cwd: string, ...args: string[]): void {
    const identity = ['-c', 'user.name=a', '-c', 'user.email=a@example.com'];
    execFileSync('git', [...identity, ...args], { cwd: join(root, cwd), stdio: 'pipe' });
  }

  /** As `Fence` does for each run: what was found is known to those that come later. */
  function nextRun(options: Partial<FenceViewOptions>): FenceView {
    const { places, links } = view(options).known;
    before = { places: [...before.places, ...places], links: [...before.links, ...links] };
    return view({ ...options, known: before });
  }
  let before: Known;
  beforeEach(() => {
    before = { places: [], links: [] };
    make('person/repo/sub/', 'person/secret/');
    for (const repository of ['person/repo', 'person/secret']) {
      git(repository, 'init', '-q');
      git(repository, 'commit', '-q', '--allow-empty', '-m', 'first');
    }
    git('person/repo', 'worktree', 'add', '-q', '../other');
  });

  test('can commit from a directory below the top, and from a linked worktree, each time', () => {
    for (const run of [view, nextRun, nextRun]) {
      expectLooks(run({ cwd: join(home, 'repo/sub') }), {
        'person/repo/sub': 'writable',
        'person/repo/.git': 'writable',
        'person/repo/file': 'readable',
      });
      expectLooks(run({ cwd: join(home, 'other') }), {
        'person/other': 'writable',
        'person/repo/.git': 'writable',
      });
      expectLooks(run({ cwd: join(home, 'repo') }), { 'person/repo': 'writable' });
    }
  });

  test('can commit from a worktree that a fenced command has made in its own directory', () => {
    nextRun({ cwd: join(home, 'repo') });
    git('person/repo', 'worktree', 'add', '-q', 'trees/one');
    expectLooks(nextRun({ cwd: join(home, 'repo/trees/one') }), {
      'person/repo/trees/one': 'writable',
      'person/repo/.git': 'writable',
    });
    // And from one of the person's, of a repository that fenced commands could write.
    git('person/repo', 'worktree', 'add', '-q', '../third');
    expectLooks(nextRun({ cwd: join(home, 'third') }), { 'person/repo/.git': 'writable' });
  });

  test('a .git file that came with an archive does not make anything writable', () => {
    const project = join(home, 'project');
    make('person/project/fake/');
    const forms = [
      () => writeFileSync(join(project, '.git'), `gitdir: ${join(home, 'secret/.git')}\n`),
      // Named back, as a worktree is, but what it leads to is no repository.
      () => {
        writeFileSync(join(project, '.git'), 'gitdir: fake\n');
        writeFileSync(join(project, 'fake/gitdir'), join(project, '.git'));
        writeFileSync(join(project, 'fake/commondir'), home);
      },
      // Named back, by what came with it.
      () => writeFileSync(join(project, 'fake/commondir'), join(home, 'secret/.git')),
      () => {
        rmSync(join(project, '.git'));
        symlinkSync(join(home, 'secret/.git'), join(project, '.git'));
      },
    ];
    for (const form of forms) {
      form();
      for (const cwd of [project, join(project, 'fake')]) {
        expectLooks(view({ cwd }), { 'person/secret/.git': 'readable' });
      }
    }
    expect(view({ cwd: join(project, 'fake') }).refusedGit).toBe(join(home, 'secret/.git'));
  });

  test('what a fenced command has planted does not open another repository to the next', () => {
    // It could write the directory, and the repository of another run.
    nextRun({ cwd: join(home, 'project') });
    nextRun({ cwd: join(home, 'repo') });
    const own = join(home, 'repo/.git/worktrees/planted');
    mkdirSync(own);
    writeFileSync(join(home, 'project/.git'), `gitdir: ${own}\n`);
    writeFileSync(join(own, 'gitdir'), `${join(home, 'project/.git')}\n`);
    writeFileSync(join(own, 'commondir'), '../..\n');
    const seen = nextRun({ cwd: join(home, 'project') });
    expectLooks(seen, { 'person/repo/.git': 'readable' });
    expect(seen.refusedGit).toBe(join(home, 'repo/.git'));
    // A worktree that was one before stays one, wherever its file leads now.
    nextRun({ cwd: join(home, 'other') });
    writeFileSync(join(home, 'other/.git'), `gitdir: ${join(home, 'secret/.git')}\n`);
    expectLooks(nextRun({ cwd: join(home, 'other') }), {
      'person/repo/.git': 'writable',
      'person/secret/.git': 'readable',
    });
  });

  test('a link in the place of a repository that is known leads to no other', () => {
    const cwd = join(home, 'repo/sub');
    const own = join(home, 'repo/.git');
    expect(nextRun({ cwd }).layers).toContainEqual(expect.objectContaining({ path: own }));
    renameSync(own, join(home, 'repo/moved'));
    symlinkSync(join(home, 'secret/.git'), own);
    const next = nextRun({ cwd });
    expect(next.refusedGit).toBe(join(home, 'secret/.git'));
    expectLooks(next, { 'person/secret/.git': 'readable', 'person/repo/.git': 'readable' });
  });

  test('a repository that is hidden stays hidden', () => {
    make('person/.local/state/hoop/policy.git/');
    git('person/.local/state/hoop/policy.git', 'init', '-q', '--bare');
    const worktrees = join(home, '.local/state/hoop/policy.git/worktrees/one');
    mkdirSync(worktrees, { recursive: true });
    writeFileSync(join(worktrees, 'gitdir'), join(home, 'project/.git'));
    writeFileSync(join(worktrees, 'commondir'), '../..');
    writeFileSync(join(home, 'project/.git'), `gitdir: ${worktrees}\n`);
    expectLooks(view(), { 'person/.local/state/hoop/policy.git': 'gone' });
  });
});

describe('links on the way to what is named', () => {
  test('that a fenced command could have made lead nowhere else', () => {
    make('person/project/data/', 'person/secret/');
    const first = view({ write: ['data'] }).known;
    rmSync(join(home, 'project/data'), { recursive: true });
    symlinkSync(join(home, 'secret'), join(home, 'project/data'));
    for (const options of [{ write: ['data'] }, { show: ['data/.'] }]) {
      expect(() => view({ ...options, known: first })).toThrow('through a link');
    }
    expect(() => view({ write: ['~/secret'], known: first })).not.toThrow();
  });

  test('that a fenced command could have made are no way to a working directory', () => {
    make('person/secret/');
    const way = join(home, 'project/front');
    symlinkSync(join(home, 'secret'), way);
    const known = { places: [{ path: join(home, 'project') }], links: [] };
    const from = { cwd: join(home, 'secret'), env: { PWD: way } };
    expect(() => view({ ...from, known })).toThrow(expect.objectContaining({ code: 'HOOP_FENCE' }));
    // Nobody could make it, it is the place itself, or commands have worked there before.
    expect(view(from).cwdIs).toBe('writable');
    expect(view({ ...from, env: { PWD: from.cwd }, known }).cwdIs).toBe('writable');
    const places = [...known.places, { path: from.cwd }];
    expect(view({ ...from, known: { places, links: [] } }).cwdIs).toBe('writable');
  });

  test('that the person made before go on, and only where they led then', () => {
    make('elsewhere/data/', 'person/secret/');
    symlinkSync(join(root, 'elsewhere/data'), join(home, 'project/data'));
    const { known } = view({ write: ['data'] });
    expect(view({ write: ['data'], known }).layers).toContainEqual(
      expect.objectContaining({ path: join(root, 'elsewhere/data'), as: 'writable' }),
    );
    unlinkSync(join(home, 'project/data'));
    symlinkSync(join(home, 'secret'), join(home, 'project/data'));
    expect(() => view({ write: ['data'], known })).toThrow('through a link');
  });
});

test('the table of unix sockets gives paths, with blanks and relative ones, and no abstract names', () => {
  const table = `Num       RefCount Protocol Flags    Type St Inode Path
ffff9a2a4c1f1000: 00000002 00000000 00010000 0001 01 23456 /run/user/1000/bus
0000000000000000: 00000002 00000000 00010000 0001 01 23457 @/tmp/.X11-unix/X0
0000000000000000: 00000003 00000000 00000000 0001 03 23458
0000000000000000: 00000003 00000000 00000000 0001 03 23459 /run/user/1000/bus
0000000000000000: 00000002 00000000 00010000 0001 01     7 /home/a b/c.sock
0000000000000000: 00000002 00000000 00010000 0001 01     8 relative.sock
`;
  expect(socketsIn(table)).toEqual([
    { inode: '23456', path: '/run/user/1000/bus' },
    { inode: '23459', path: '/run/user/1000/bus' },
    { inode: '7', path: '/home/a b/c.sock' },
    { inode: '8', path: 'relative.sock' },
  ]);
});

test('sockets are found that were bound by a relative path, renamed or linked', async () => {
  make('service/', 'other/', 'person/project/deep/down/');
  const script = `
    const { createServer } = require('node:net');
    const { spawn } = require('node:child_process');
    const { closeSync, linkSync, openSync, renameSync } = require('node:fs');
    const path = require('node:path');
    const root = ${JSON.stringify(root)};
    const openMany = () => Array.from({ length: 300 }, () => openSync('/dev/null'));
    const many = openMany();
    const bind = (name) => new Promise((done) => {
      const server = createServer().listen(name, () => done(server));
    });
    (async () => {
      const { _handle } = await bind('relative.sock');
      // A worker of it that is somewhere else, with the same socket.
      const worker = spawn('cat', { cwd: '/', stdio: ['pipe', 'ignore', 'ignore', _handle.fd] });
      await new Promise((done) => worker.once('spawn', done));
      await bind(path.join(root, 'other/first.sock'));
      linkSync(path.join(root, 'other/first.sock'), path.join(root, 'other/second.sock'));
      linkSync(path.join(root, 'other/first.sock'), path.join(root, 'person/project/deep/down/third'));
      await bind(path.join(root, 'other/before.sock'));
      renameSync(path.join(root, 'other/before.sock'), path.join(root, 'other/after.sock'));
      console.log('up');
      many.forEach((one) => closeSync(one));
      // A busy program: a look finds descriptors that are gone when they are read.
      setInterval(() => {
        for (const end = Date.now() + 100; Date.now() < end; ) openMany().forEach((one) => closeSync(one));
      });
    })();`;
  const service = spawn(process.execPath, ['-e', script], {
    cwd: join(root, 'service'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(service.stdout, 'data');
  const looks = Array.from({ length: 8 }, () => listeningSockets([join(home, 'project')]));
  service.kill();
  const found = looks[0]?.map((path) => relative(root, path));
  const always = looks.filter((look) => look.includes(join(root, 'service/relative.sock')));
  expect(always).toHaveLength(looks.length);
  expect(found).toEqual(
    expect.arrayContaining([
      'service/relative.sock',
      'other/first.sock',
      'other/second.sock',
      'other/after.sock',
      'person/project/deep/down/third',
    ]),
  );
});

test('bwrap gets the layers in their order, between the root and the place to start in', () => {
  const args = bubblewrapArguments({
    view: {
      cwd: '/home/a/project',
      layers: [
        { path: '/tmp', as: 'private', isDirectory: true },
        { path: '/home/a/.ssh', as: 'hidden', isDirectory: true },
        { path: '/home/a/.pgpass', as: 'hidden', isDirectory: false },
        { path: '/home/a/project', as: 'writable', isDirectory: true },
      ],
    },
    isRoot: false,
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

test('what is hidden stays so in the state of an agent, and around it', () => {
  make('person/.agent/sessions/one', 'person/.agent/secret', 'person/.other/sessions/one', 'copy/');
  const shadows = ['.agent', '.other'].map((name) => ({
    path: join(home, name),
    source: join(root, 'copy', name),
    real: [{ path: join(home, name, 'sessions'), as: 'writable' as const }],
    instructions: [],
  }));
  make('copy/.agent/', 'copy/.other/');
  const hide = ['.agent/sessions', '.agent/secret', '.other'].map((name) => join(home, name));
  const { layers } = view({ shadows, hide });
  const as = (name: string) => layers.find(({ path }) => path === join(home, name))?.as;
  expect(as('.agent')).toBe('shadowed');
  expect(as('.agent/sessions')).toBe('hidden');
  expect(as('.agent/secret')).toBe('hidden');
  // In a home that is made anew it is not there at all.
  expect(as('.other')).toBeUndefined();
  expect(as('.other/sessions')).toBeUndefined();
  const usual = view({ shadows }).layers;
  expect(usual.find(({ path }) => path === join(home, '.other/sessions'))?.as).toBe('writable');
});
