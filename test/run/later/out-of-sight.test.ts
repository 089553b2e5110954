/** Ways to leave something that runs later where nobody looks, or where it cannot be put back. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { settingsOfEnvironment } from '../../../src/run/later/git-settings.ts';
import {
  type AfterRun,
  afterRun,
  beforeRun,
  type Change,
  watchOf,
} from '../../../src/run/later/later-changes.ts';
import { putBack } from '../../../src/run/later/put-back.ts';

let root: string;
let project: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-sight-')));
  project = join(root, 'project');
  mkdirSync(project);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, text = 'x'): void {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), text);
}

function inProject(script: string): void {
  execFileSync('sh', ['-ec', script], { cwd: project });
}

function during(action: () => void, cwd = project): AfterRun {
  const before = beforeRun(
    watchOf({
      cwd,
      cwdIs: 'writable',
      known: { places: [{ path: cwd }], links: [] },
      neverWritten: [],
      repositories: [join(cwd, '.git')],
      gitSettings: [join(root, 'gitconfig')],
      gitValues: settingsOfEnvironment(process.env),
    }),
  );
  action();
  return afterRun(before);
}

function told(action: () => void): readonly string[] {
  return during(action).changes.map(({ path }) => path.slice(project.length + 1));
}

function one({ changes }: AfterRun): Change {
  const [change] = changes;
  if (change === undefined) throw new Error('nothing has changed');
  return change;
}

const aside = () => join(root, 'aside');

test('a repository without a worktree, in a directory of any name', () => {
  write('docs/readme');
  expect(
    told(() => {
      inProject('git init -q --bare made && cp -r made/. docs && rm -r made');
    }),
  ).toEqual(expect.arrayContaining(['docs/HEAD', 'docs/config']));
});

test('a .git file that leads to another repository', () => {
  write('sub/.git', 'gitdir: ../.git/modules/sub\n');
  expect(told(() => write('sub/.git', 'gitdir: ../node_modules/evil\n'))).toEqual(['sub/.git']);
});

test('what leads a worktree that is elsewhere to its repository', () => {
  inProject(
    'git init -q && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git worktree add -q ../elsewhere',
  );
  const path = '.git/worktrees/elsewhere/commondir';
  expect(told(() => write(path, '/tmp/evil\n'))).toEqual([path]);
});

test('what the settings of a repository name: hooks, settings, files of commands', () => {
  inProject(`git init -q
    git config core.hooksPath .githooks
    git config include.path ../more
    git config filter.x.clean "node tools/clean.js"`);
  write('more', '[core]\n\tfsmonitor = "tools/watch"\n');
  for (const path of ['.githooks/pre-commit', 'tools/clean.js', 'tools/watch', 'tools/other']) {
    write(path);
  }
  const paths = ['.githooks/pre-commit', '.githooks/post-merge', 'more', 'tools/clean.js'];
  const found = told(() => {
    for (const path of [...paths, 'tools/watch', 'tools/other']) write(path, 'evil');
  });
  expect([...found].sort()).toEqual([...paths, 'tools/watch'].sort());
});

test('what the settings of the person name in any repository, and what those include', () => {
  inProject('git init -q && git init -q lib');
  const include = join(project, 'shared.gitconfig');
  writeFileSync(
    join(root, 'gitconfig'),
    `[core]\n\thooksPath = .githooks\n[includeIf "gitdir:~/"]\n\tpath = ${include}\n`,
  );
  const paths = ['.githooks/pre-commit', 'lib/.githooks/pre-commit', 'shared.gitconfig'];
  expect(
    told(() => {
      for (const path of paths) write(path);
    }),
  ).toEqual(paths);
});

test('a relative path of the person holds where somebody makes a repository later', () => {
  writeFileSync(
    join(root, 'gitconfig'),
    '[core]\n\thooksPath = ../.git\\\nhooks\n\tfsmonitor = "tools/watch --fast"\n\tpager = less\n',
  );
  expect(
    told(() => {
      for (const path of ['.githooks/pre-commit', 'lib/.githooks/x', 'lib/tools/watch'])
        write(path);
      for (const path of ['lib/less', 'lib/tools/other']) write(path);
    }),
  ).toEqual(['.githooks/pre-commit', 'lib/.githooks/x', 'lib/tools/watch']);
});

test('what the variables of git name', () => {
  vi.stubEnv('GIT_CONFIG_COUNT', '1');
  vi.stubEnv('GIT_CONFIG_KEY_0', 'core.hooksPath');
  vi.stubEnv('GIT_CONFIG_VALUE_0', join(project, 'ours'));
  inProject('git init -q');
  expect(told(() => write('ours/pre-commit'))).toEqual(['ours/pre-commit']);
});

test('thousands of repositories with long settings cost no more than some, and what was not read is said', () => {
  const settings = `[core]\n${'\tpager = a/b c/d\n'.repeat(50_000)}`;
  const { changes, notLookedAt } = during(() => {
    write('settings', settings);
    for (let n = 0; n < 300; n += 1) {
      write(`r${n}/.git/objects/x`);
      write(`r${n}/.git/HEAD`);
      linkSync(join(project, 'settings'), join(project, `r${n}/.git/config`));
    }
  });
  expect(changes.filter(({ isRepository }) => isRepository)).toHaveLength(300);
  expect(notLookedAt.length).toBeGreaterThan(250);
  expect(notLookedAt[0]).toMatch(/\.git\/config$/);
});

test('hooks in a worktree whose repository is elsewhere', () => {
  inProject(`git init -q ../main && cd ../main && git config core.hooksPath .githooks
    git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x
    git worktree add -q ../project/tree`);
  expect(told(() => write('tree/.githooks/pre-commit'))).toEqual(['tree/.githooks/pre-commit']);
});

test('hooks of a repository without a worktree', () => {
  inProject('git init -q --bare shop && git -C shop config core.hooksPath ours');
  expect(told(() => write('shop/ours/post-receive'))).toEqual(['shop/ours/post-receive']);
});

test('hooks in a directory that the settings name from the home directory', () => {
  vi.stubEnv('HOME', root);
  inProject("git init -q && git config core.hooksPath '~/project/ours'");
  expect(told(() => write('ours/pre-commit'))).toEqual(['ours/pre-commit']);
});

test('a path of a setting with a comment behind it', () => {
  write('.git/config', '[core]\n\thooksPath = githooks ; ours\n');
  write('.git/HEAD');
  expect(told(() => write('githooks/pre-commit'))).toEqual(['githooks/pre-commit']);
});

test.each([
  ['that include themselves', '[include]\npath = config\n'],
  ['of empty lines', '\n'],
])('settings %s, thousands of times, do not keep hoop from asking', (_, line) => {
  inProject('git init -q');
  const settings = line.repeat((250 * 1024) / line.length);
  expect(told(() => write('.git/config', settings))).toEqual(['.git/config']);
});

test('a directory that the run itself has made an environment of Python', () => {
  write('env/pyvenv.cfg');
  write('app/env/config.ts');
  expect(
    told(() => {
      for (const name of ['env', 'app/env', 'venv']) {
        write(`${name}/pyvenv.cfg`);
        write(`${name}/CLAUDE.md`);
      }
    }),
  ).toEqual(['app/env/CLAUDE.md', 'venv/CLAUDE.md']);
});

test('the everyday work of git is not told', () => {
  inProject('git init -q && git config user.name a && git config user.email a@b');
  expect(told(() => inProject('touch a && git add a && git commit -qm a && git branch b'))).toEqual(
    [],
  );
});

test.each(['.cargo/config', '.yarn/releases/yarn-4.cjs', '.pnp.cjs', 'lefthook.yaml', '.mvn/x'])(
  'of tools: %s',
  (path) => {
    expect(told(() => write(path))).toEqual([path]);
  },
);

test('names that are no UTF-8: a command of an agent, a start file of Python, a directory', () => {
  const packages = '.venv/lib/python3.13/site-packages';
  mkdirSync(join(project, packages), { recursive: true });
  const { changes, notLookedAt } = during(() =>
    inProject(`bad=$(printf '\\377'); mkdir -p .claude/commands "d$bad"
      echo x > ".claude/commands/x$bad.md"; echo x > "${packages}/x$bad.pth"
      echo x > "d$bad/CLAUDE.md"; echo x > "plain$bad"`),
  );
  expect(changes.map(({ path }) => path.slice(project.length + 1))).toEqual([
    '.claude/commands/x\ufffd.md',
    `${packages}/x\ufffd.pth`,
    'd\ufffd',
  ]);
  expect(notLookedAt).toEqual([join(project, 'd\ufffd')]);
  for (const change of changes) {
    expect(putBack(change, aside())).toEqual({ done: false, why: 'its name is not UTF-8' });
  }
});

test('one that was there before is not told', () => {
  inProject(`mkdir .claude && echo x > ".claude/x$(printf '\\377')"`);
  expect(told(() => write('src/main.ts'))).toEqual([]);
});

test('a directory that cannot be listed is said', () => {
  // As root all can be read: its path is too long instead.
  const { notLookedAt } = during(() =>
    inProject(
      'd=$(printf "%0200d" 0); p=$d; for n in 1 2 3 4 5 6 7 8 9 10; do p=$p/$d; done; mkdir -p $p x/$p; mv x $p/',
    ),
  );
  expect(notLookedAt).toHaveLength(1);
  inProject('rm -rf 0*');
});

test('more files than a call takes arguments', () => {
  const { notLookedAt } = during(() =>
    inProject('mkdir .claude && cd .claude && seq 150000 | xargs touch'),
  );
  expect(notLookedAt).toEqual([join(project, '.claude')]);
});

test('a new file that is too long to be read is put aside', () => {
  const change = one(
    during(() => {
      write('.envrc');
      truncateSync(join(project, '.envrc'), 65 * 1024 * 1024);
    }),
  );
  expect(putBack(change, aside())).toMatchObject({ done: true });
  expect(existsSync(join(project, '.envrc'))).toBe(false);
});

test('a new file whose name has its full length is put aside', () => {
  const change = one(during(() => write(`.claude/commands/${'a'.repeat(252)}.md`)));
  expect(putBack(change, aside())).toMatchObject({ done: true });
});

test('a link above the working directory leads nowhere', () => {
  write('a/bin/.npmrc', 'evil');
  mkdirSync(join(root, 'home/bin'), { recursive: true });
  const cwd = join(project, 'a/bin');
  const change = one(during(() => rmSync(join(cwd, '.npmrc')), cwd));
  renameSync(join(project, 'a'), join(project, 'b'));
  symlinkSync('../home', join(project, 'a'));
  expect(putBack(change, aside())).toEqual({
    done: false,
    why: 'a parent directory is now a link',
  });
  expect(readdirSync(join(root, 'home/bin'))).toEqual([]);
});
