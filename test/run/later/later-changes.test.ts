import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { neverWritten } from '../../../src/run/fence/runs-later.ts';
import {
  afterRun,
  BeforeRun,
  beforeRun,
  type Change,
  watchOf,
} from '../../../src/run/later/later-changes.ts';
import { canPutBack, putBack } from '../../../src/run/later/put-back.ts';
import type { Watch } from '../../../src/run/later/watched-files.ts';
import { changeLines, changeWords } from '../../../src/ui/render-change.ts';
import { styleFor } from '../../../src/ui/text/style.ts';

let root: string;
let project: string;
let kept: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-later-')));
  project = join(root, 'project');
  kept = join(root, 'agent/projects');
  write('project/.git/HEAD', 'agent/projects/one/memory/MEMORY.md', 'project/lib/.git/HEAD');
  write('project/.venv/lib/python3.13/site-packages/first.pth');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), 'x');
  }
}

function watch(): Watch {
  return watchOf(
    {
      cwd: project,
      cwdIs: 'writable',
      known: { places: [{ path: project }, { path: kept }], links: [] },
      neverWritten: [],
      repositories: [join(project, '.git')],
      gitSettings: [join(root, 'gitconfig')],
      gitValues: [],
    },
    { directories: [kept], instructions: [join(kept, '*/memory')] },
  );
}

/** What is told of what `action` does. */
async function told(action: () => void): Promise<readonly string[]> {
  return (await changesOf(action)).map(({ path }) => path.slice(root.length + 1));
}

async function changesOf(action: () => void): Promise<readonly Change[]> {
  // What stood there before was not written just now: the clock of files is a coarse one.
  await setTimeout(50);
  const before = beforeRun(watch());
  action();
  return afterRun(BeforeRun.parse(JSON.parse(JSON.stringify(before)))).changes;
}

test.each([
  'project/AGENTS.md',
  'project/CLAUDE.md',
  'project/.gitmodules',
  'project/.git/rebase-merge',
  'project/.git/info/attributes',
  'project/.env',
  'project/sitecustomize.py',
  'project/.github/copilot-instructions.md',
])('%s is told', async (path) => {
  const file = path.endsWith('merge') ? `${path}/todo` : path;
  expect(await told(() => write(file))).toContain(file);
});

/** What each starts by itself, or takes for instructions, from the directory in which it is started. */
const IN_PROJECT = {
  'Claude Code': ['.claude/settings.json', '.claude/hooks/x.sh', '.mcp.json', 'CLAUDE.md'],
  Codex: ['.codex/config.toml', '.codex/hooks.json', '.agents/skills/x/SKILL.md', 'AGENTS.md'],
  'Gemini CLI': ['.gemini/settings.json', '.gemini/extensions/x.json', 'GEMINI.md', '.env'],
  'Qwen Code': ['.qwen/settings.json', '.qwen/extensions/x.json', 'QWEN.md', '.env'],
  opencode: ['.opencode/plugin/x.js', '.opencode/tool/x.js', 'opencode.json', 'opencode.jsonc'],
  'Copilot CLI': [
    ...['.github/hooks/x.json', '.github/extensions/x/extension.mjs', '.github/mcp.json'],
    ...['.github/copilot/settings.json', '.github/lsp.json', '.github/plugin/x', '.lsp.json'],
    ...['.github/agents/x.md', '.github/skills/x/SKILL.md', '.mcp.json'],
  ],
  aider: ['.aider.conf.yml', '.aider.model.settings.yml', 'CONVENTIONS.md', '.env'],
  git: ['.git/hooks/pre-commit', '.git/config', '.gitattributes', '.husky/pre-commit'],
  'package managers': ['package.json', '.npmrc', '.pnpmfile.cjs', '.yarnrc.yml'],
  'shells and editors': ['.envrc', '.vscode/tasks.json', '.devcontainer/devcontainer.json'],
  'more editors': ['.vimrc', '.lazy.lua', '.helix/languages.toml', '.vim/coc-settings.json'],
  interpreters: ['.Rprofile', '.RData', '.octaverc', '.ocamlinit', '.ghci', '.iex.exs', '.pryrc'],
  debuggers: ['.gdbinit', '.lldbinit', '.pdbrc'],
  'tools that choose programs': ['ansible.cfg', 'rust-toolchain.toml', '.mise/config.toml'],
  Mercurial: ['.hg/hgrc', '.hg/hgrc-not-shared'],
  'shells, when somebody enters the directory': ['.rvmrc', '.autoenv.zsh', '.autoenv'],
  'direnv, by what it has kept': ['.direnv/flake-profile-a5d5b6.rc', '.direnv/bin/x'],
  'devbox, by what it has kept': ['.devbox/.nix-print-dev-env-cache'],
  lazygit: ['.git/lazygit.yml', '.lazygit.yml'],
  'terminals of editors': ['.venv/bin/activate', '.venv/bin/activate.fish'],
  Jujutsu: ['.jj/repo/config.toml'],
  'direnv and nix': ['shell.nix', 'flake.nix'],
  'programs that nobody here knows': ['.whatever', '.whateverrc.json', '.whatever.d/run.sh'],
};

test.each(
  Object.entries(IN_PROJECT).flatMap(([who, paths]) => paths.map((path) => ({ who, path }))),
)('what $who runs by itself is told: $path', async ({ path }) => {
  const found = await told(() => write(`project/${path}`));
  expect(found.some((one) => `project/${path}/`.startsWith(`${one}/`))).toBe(true);
});

/** The same of its directory in the home directory, for those that a person opens by hand. */
const IN_HOME = {
  'Claude Code': ['.claude/settings.json', '.claude/hooks/x', '.claude/plugins/x', '.claude/local'],
  Codex: ['.codex/config.toml', '.codex/hooks.json', '.codex/plugins/x', '.agents/skills/x'],
  'Gemini CLI': ['.gemini/settings.json', '.gemini/hooks/x', '.gemini/extensions/x'],
  'Qwen Code': ['.qwen/settings.json', '.qwen/hooks/x', '.qwen/extensions/x'],
  opencode: [...['opencode.json', 'plugin/x.js', 'plugins/x.js', 'tool/x.js', 'commands/x.md']].map(
    (name) => `.config/opencode/${name}`,
  ),
  'Copilot CLI': ['settings.json', 'mcp-config.json', 'hooks/x', 'plugins/x', 'extensions/x'].map(
    (name) => `.copilot/${name}`,
  ),
  aider: ['.aider.conf.yml', '.aider.model.settings.yml'],
  shells: ['.bashrc', '.profile', '.zshrc', '.config/fish/config.fish', '.local/bin/x'],
  'start files of shells': [
    '.cargo/env',
    '.nvm/nvm.sh',
    '.sdkman/bin/sdkman-init.sh',
    '.oh-my-zsh/x',
  ],
  Python: ['.local/lib/python3.13/site-packages/x.pth', '.ipython/profile_default/startup/x.py'],
  desktops: ['.config/sway/config', '.config/kitty/kitty.conf', '.config/starship.toml'],
  git: ['.gitconfig', '.config/git/hooks/pre-commit'],
};

test.each(Object.entries(IN_HOME))('what %s runs by itself is not written', (_, paths) => {
  const never = neverWritten(['/home/ann'], [], {});
  const open = paths.filter(
    (path) => !never.some((one) => `/home/ann/${path}/`.startsWith(`${one}/`)),
  );
  expect(open).toEqual([]);
});

test('programs that the person starts by name are not written', () => {
  const never = neverWritten(['/home/ann'], [], { PATH: '/home/ann/go/bin:bin::/usr/bin' });
  expect(never).toEqual(expect.arrayContaining(['/home/ann/go/bin', '/usr/bin']));
  expect(never).not.toContain('bin');
});

test('what was kept of an environment and was there is told when it changes', async () => {
  const path = 'project/sub/.direnv/nix-profile-1.rc';
  write(path, 'project/sub/.direnv/state');
  const changed = await told(() => {
    for (const name of [path, 'project/sub/.direnv/state']) writeFileSync(join(root, name), 'y');
  });
  expect(changed).toEqual([path]);
});

test('a variable that moves the directory of an agent moves what is not written', () => {
  const env = { COPILOT_HOME: '/srv/copilot', QWEN_HOME: '/srv/qwen', CODEX_HOME: '/srv/codex' };
  const never = neverWritten(['/home/ann'], [], env);
  expect(never).toEqual(
    expect.arrayContaining(['/srv/copilot/hooks', '/srv/qwen/hooks', '/srv/codex/hooks']),
  );
});

test('a new repository is told, also one that a file leads to', async () => {
  const made = ['project/sub/.git/config', 'project/deep/er/.git'];
  expect(await told(() => write(...made))).toEqual(
    expect.arrayContaining(['project/sub/.git', 'project/deep/er/.git']),
  );
});

test('start files in an environment of Python are told, and packages are not', async () => {
  const packages = 'project/.venv/lib/python3.13/site-packages';
  const paths = ['evil.pth', 'sitecustomize.py', 'pkg/__init__.py', 'other.py'];
  const found = await told(() => write(...paths.map((name) => `${packages}/${name}`)));
  expect([...found].sort()).toEqual([`${packages}/evil.pth`, `${packages}/sitecustomize.py`]);
});

test('memory of an agent is told, of any project, and links in what it keeps', async () => {
  const found = await told(() => {
    writeFileSync(join(kept, 'one/memory/MEMORY.md'), 'other');
    write('agent/projects/two/memory/new.md');
    symlinkSync('/home/somebody/.bashrc', join(kept, 'one/session.jsonl'));
  });
  expect([...found].sort()).toEqual([
    'agent/projects/one/memory/MEMORY.md',
    'agent/projects/one/session.jsonl',
    'agent/projects/two/memory/new.md',
  ]);
});

test('the everyday work of an agent is not told', async () => {
  symlinkSync('elsewhere', join(kept, 'one/old-link'));
  expect(
    await told(() =>
      write(
        'project/src/main.ts',
        'project/lib/.git/index',
        'project/.git/index',
        'agent/projects/one/session.jsonl',
      ),
    ),
  ).toEqual([]);
});

test.each(['.Rprofile', '.ghci', '.hg/hgrc', 'ansible.cfg', 'rust-toolchain.toml'])(
  '%s is told in any directory, and when it was there',
  async (name) => {
    expect(await told(() => write(`project/sub/deep/${name}`))).toEqual([
      `project/sub/deep/${name}`,
    ]);
    expect(await told(() => writeFileSync(join(project, 'sub/deep', name), 'changed'))).toEqual([
      `project/sub/deep/${name}`,
    ]);
  },
);

describe('what begins with a dot at the top of the project', () => {
  test('is told when it is written, also over a link and by a name that was there', async () => {
    write('project/.unknownrc');
    expect(
      await told(() => {
        writeFileSync(join(project, '.unknownrc'), 'y');
        symlinkSync('nowhere', join(project, '.linkedrc'));
      }),
    ).toEqual(['project/.linkedrc', 'project/.unknownrc']);
  });

  test('is one question when it is a directory, and is put aside as a whole', async () => {
    const changes = await changesOf(() =>
      write('project/.tool/a', 'project/.tool/CLAUDE.md', 'project/.tool/x/.git/config'),
    );
    expect(changes.map(({ path }) => path)).toEqual([join(project, '.tool')]);
    const [change] = changes;
    if (change === undefined) throw new Error('nothing was told');
    expect(changeWords(change)).toBe('a new directory');
    expect(changeLines(change, styleFor(false))).toEqual(['  + CLAUDE.md', '  + a', '  + x/']);
    expect(putBack(change, join(root, 'aside'))).toMatchObject({ done: true });
    expect(existsSync(join(project, '.tool'))).toBe(false);
  });

  test('is not told when tools write it in everyday work', async () => {
    write('project/.next/trace', 'project/.unknown/state.db');
    const everyday = [
      ...[
        '.gitignore',
        '.editorconfig',
        '.env.example',
        '.coverage',
        '.coverage.host.1',
        '.DS_Store',
      ],
      ...['.main.ts.swp', '.#main.ts', '.eslintcache', '.ninja_log', '.pytest_cache/.gitignore'],
      ...['.next/BUILD_ID', '.mypy_cache/3.13/x.json', '.gradle/checksums.lock'],
      ...['target/.rustc_info.json', 'target/debug/.cargo-lock', 'src/.deps/x.Po'],
      // Of a tool that was there, and that nobody here knows.
      '.unknown/state.db-wal',
    ];
    expect(await told(() => write(...everyday.map((name) => `project/${name}`)))).toEqual([]);
  });
});

test('of a new repository its files are one question', async () => {
  const made = ['project/sub/.git/config', 'project/sub/.git/hooks/pre-commit'];
  const changes = await changesOf(() => write(...made));
  expect(
    changes.map(({ path, isRepository }) => [path.slice(root.length + 1), isRepository]),
  ).toEqual([['project/sub/.git', true]]);
});

describe('files in directories further down', () => {
  test.each(['CLAUDE.md', 'package.json', '.mcp.json', '.claude/settings.json', '.envrc'])(
    '%s is told, and of packages that were installed nothing',
    async (name) => {
      const packages = Array.from({ length: 300 }, (_, n) => `project/node_modules/p${n}/${name}`);
      expect(await told(() => write(`project/apps/web/${name}`, ...packages))).toEqual([
        `project/apps/web/${name}`,
      ]);
    },
  );

  test('one that is written again as it was is not told', async () => {
    write('project/apps/web/package.json');
    expect(await told(() => write('project/apps/web/package.json'))).toEqual([]);
  });

  test('one that keeps its length and gets its old time back is told', async () => {
    write('project/apps/web/package.json');
    const path = join(project, 'apps/web/package.json');
    const { atime, mtime } = statSync(path);
    const change = () => {
      writeFileSync(path, 'y');
      utimesSync(path, atime, mtime);
    };
    expect(await told(change)).toEqual(['project/apps/web/package.json']);
  });

  test('a directory that was prepared where nobody looks, and is moved, is told', async () => {
    write('project/node_modules/evil/CLAUDE.md');
    const move = () => renameSync(join(project, 'node_modules/evil'), join(project, 'docs'));
    expect(await told(move)).toEqual(['project/docs/CLAUDE.md']);
  });

  test('a link to a directory where nobody looks is told, one to a directory of the project is not', async () => {
    write('project/node_modules/evil/CLAUDE.md', 'project/src/x');
    const link = () => {
      symlinkSync('../node_modules/evil', join(project, 'lib/docs'));
      symlinkSync('src', join(project, 'source'));
    };
    expect(await told(link)).toEqual(['project/lib/docs']);
  });

  test('beyond the number of directories that are looked at, it is said', async () => {
    const many = Array.from({ length: 60 }, (_, n) => `project/many/d${n}/CLAUDE.md`);
    write(...many);
    await setTimeout(50);
    const before = beforeRun(watch(), 20);
    expect(before.notLookedAt.length).toBeGreaterThan(40);
    const last = before.notLookedAt.at(-1) ?? '';
    writeFileSync(join(last, 'AGENTS.md'), 'x');
    const { changes, notLookedAt } = afterRun(before);
    // By the time of their directory: what stood there before is not known.
    expect(changes.map(({ path }) => path)).toEqual(
      ['AGENTS.md', 'CLAUDE.md'].map((name) => join(last, name)),
    );
    expect(notLookedAt).toEqual([]);
  });

  test('a file that was known is asked for by name, however many directories were made', async () => {
    write('project/a/b/CLAUDE.md');
    const before = beforeRun(watch());
    writeFileSync(join(project, 'a/b/CLAUDE.md'), 'evil');
    for (let n = 0; n < 60; n += 1) mkdirSync(join(project, `0${n}`));
    const { changes, notLookedAt } = afterRun(before, 20);
    expect(changes.map(({ path }) => path)).toEqual([join(project, 'a/b/CLAUDE.md')]);
    expect(notLookedAt.length).toBeGreaterThan(0);
  });
});

describe('links', () => {
  test('what an instruction is a link to is told, whatever its name', async () => {
    write('project/docs/agent.txt');
    symlinkSync('docs/agent.txt', join(project, 'CLAUDE.md'));
    const change = () => writeFileSync(join(project, 'docs/agent.txt'), 'evil');
    expect(await told(change)).toEqual(['project/docs/agent.txt']);
  });

  test('a link on the way that leads elsewhere now is told', async () => {
    write('project/one/agent.txt', 'project/two/agent.txt');
    symlinkSync('one', join(project, 'now'));
    symlinkSync('now/agent.txt', join(project, 'CLAUDE.md'));
    const found = await told(() => {
      unlinkSync(join(project, 'now'));
      symlinkSync('two', join(project, 'now'));
    });
    expect(found).toContain('project/CLAUDE.md');
  });

  test('a directory of settings that became a link is told with what was in it', async () => {
    write('project/.vscode/tasks.json', 'project/node_modules/x/tasks.json');
    const found = await told(() => {
      rmSync(join(project, '.vscode'), { recursive: true });
      symlinkSync('node_modules/x', join(project, '.vscode'));
    });
    expect(found).toEqual(
      expect.arrayContaining(['project/.vscode', 'project/.vscode/tasks.json']),
    );
  });

  test('two that lead to one another end the look', async () => {
    const loop = () => {
      symlinkSync('b', join(project, '.claude'));
      symlinkSync('.claude', join(project, 'b'));
    };
    expect(await told(loop)).toEqual(['project/.claude']);
  });
});

describe('putting back', () => {
  const aside = () => join(root, 'aside');

  async function one(action: () => void): Promise<Change> {
    const [change] = await changesOf(action);
    if (change === undefined) throw new Error('nothing has changed');
    return change;
  }

  test('writes what was there, with its mode, and keeps what is there now', async () => {
    write('project/.husky/pre-commit');
    const path = join(project, '.husky/pre-commit');
    chmodSync(path, 0o750);
    const change = await one(() => {
      writeFileSync(path, 'evil');
      chmodSync(path, 0o777);
    });
    const done = putBack(change, aside());
    expect(done).toEqual({ done: true, aside: join(aside(), path) });
    expect(readFileSync(path, 'utf8')).toBe('x');
    expect(statSync(path).mode & 0o777).toBe(0o750);
    expect(readFileSync(join(aside(), path), 'utf8')).toBe('evil');
  });

  test('takes away what was not there, and brings back what was removed', async () => {
    write('project/AGENTS.md');
    const changes = await changesOf(() => {
      rmSync(join(project, 'AGENTS.md'));
      write('project/CLAUDE.md', 'project/sub/.git/config');
    });
    for (const change of changes) expect(putBack(change, aside())).toMatchObject({ done: true });
    expect(readFileSync(join(project, 'AGENTS.md'), 'utf8')).toBe('x');
    expect(existsSync(join(project, 'CLAUDE.md'))).toBe(false);
    expect(existsSync(join(project, 'sub/.git'))).toBe(false);
    expect(existsSync(join(aside(), project, 'sub/.git/config'))).toBe(true);
  });

  test('of a link leaves alone what it leads to', async () => {
    write('elsewhere');
    const change = await one(() => symlinkSync('../elsewhere', join(project, '.envrc')));
    expect(putBack(change, aside())).toMatchObject({ done: true });
    expect(existsSync(join(project, '.envrc'))).toBe(false);
    expect(readFileSync(join(root, 'elsewhere'), 'utf8')).toBe('x');
    expect(readlinkSync(join(aside(), project, '.envrc'))).toBe('../elsewhere');
  });

  test('does nothing when the file is not what was shown any more', async () => {
    write('project/.envrc');
    const path = join(project, '.envrc');
    const change = await one(() => writeFileSync(path, 'shown'));
    writeFileSync(path, 'somebody’s work');
    expect(putBack(change, aside())).toEqual({ done: false, why: 'changed again' });
    expect(readFileSync(path, 'utf8')).toBe('somebody’s work');
    expect(existsSync(aside())).toBe(false);
  });

  test('does not write over a file that somebody has made in the place of a removed one', async () => {
    write('project/.envrc');
    const path = join(project, '.envrc');
    const change = await one(() => rmSync(path));
    writeFileSync(path, 'new');
    expect(putBack(change, aside())).toEqual({ done: false, why: 'changed again' });
    expect(readFileSync(path, 'utf8')).toBe('new');
  });

  test('does not write over a link that was put above it', async () => {
    write('project/sub/CLAUDE.md', 'outside/CLAUDE.md');
    const change = await one(() => writeFileSync(join(project, 'sub/CLAUDE.md'), 'evil'));
    renameSync(join(project, 'sub'), join(project, 'other'));
    symlinkSync('../outside', join(project, 'sub'));
    expect(putBack(change, aside())).toMatchObject({ done: false });
    expect(readFileSync(join(root, 'outside/CLAUDE.md'), 'utf8')).toBe('x');
  });

  test('takes away what is no file, too', async () => {
    const change = await one(() => execFileSync('mkfifo', [join(project, '.envrc')]));
    expect(putBack(change, aside())).toMatchObject({ done: true });
    expect(existsSync(join(project, '.envrc'))).toBe(false);
  });

  test('says of what nobody has looked at before that there is no copy', async () => {
    write(...Array.from({ length: 30 }, (_, n) => `project/d${n}/CLAUDE.md`));
    await setTimeout(50);
    const before = beforeRun(watch(), 5);
    const path = join(before.notLookedAt.at(-1) ?? '', 'CLAUDE.md');
    writeFileSync(path, 'evil');
    const [change] = afterRun(before).changes;
    expect(change).toMatchObject({ path });
    expect(change && canPutBack(change)).toBe(false);
  });

  test('leaves no file of its own behind', async () => {
    write('project/.envrc');
    const change = await one(() => writeFileSync(join(project, '.envrc'), 'evil'));
    putBack(change, aside());
    expect(readdirSync(project).filter((name) => name.includes('hoop'))).toEqual([]);
  });
});
