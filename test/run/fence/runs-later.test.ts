import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { neverWritten, RunsLater } from '../../../src/run/fence/runs-later.ts';

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

/** What is told of what `action` does. */
async function told(action: () => void): Promise<readonly string[]> {
  // What stood there before was not written just now: the clock of files is a coarse one.
  await setTimeout(50);
  const git = join(project, '.git');
  const runsLater = new RunsLater(
    {
      cwd: project,
      cwdIs: 'writable',
      known: { places: [{ path: project }, { path: kept }], links: [] },
      neverWritten: [],
      repositories: [git],
    },
    { directories: [kept], instructions: [join(kept, '*/memory')] },
  );
  action();
  return runsLater.changed().map((path) => path.slice(root.length + 1));
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
  expect(await told(() => write(path.endsWith('merge') ? `${path}/todo` : path))).toContain(path);
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
  git: ['.gitconfig', '.config/git/hooks/pre-commit'],
};

test.each(Object.entries(IN_HOME))('what %s runs by itself is not written', (_, paths) => {
  const never = neverWritten(['/home/ann'], [], {});
  const open = paths.filter(
    (path) => !never.some((one) => `/home/ann/${path}/`.startsWith(`${one}/`)),
  );
  expect(open).toEqual([]);
});

test('a variable that moves the directory of an agent moves what is not written', () => {
  const env = { COPILOT_HOME: '/srv/copilot', QWEN_HOME: '/srv/qwen', CODEX_HOME: '/srv/codex' };
  const never = neverWritten(['/home/ann'], [], env);
  expect(never).toEqual(
    expect.arrayContaining(['/srv/copilot/hooks', '/srv/qwen/hooks', '/srv/codex/hooks']),
  );
});

test('a repository that was not there is told, also one that a file leads to', async () => {
  const made = ['project/sub/.git/config', 'project/deep/er/.git'];
  expect(await told(() => write(...made))).toEqual(['project/sub/.git', 'project/deep/er/.git']);
});

test('start files in an environment of Python are told, and packages are not', async () => {
  const packages = 'project/.venv/lib/python3.13/site-packages';
  const paths = ['evil.pth', 'sitecustomize.py', 'pkg/__init__.py', 'other.py'];
  const found = await told(() => write(...paths.map((name) => `${packages}/${name}`)));
  expect([...found].sort()).toEqual([`${packages}/evil.pth`, `${packages}/sitecustomize.py`]);
});

test('memory of an agent is told, of any project, and links in what it keeps', async () => {
  const found = await told(() => {
    write('agent/projects/one/memory/MEMORY.md', 'agent/projects/two/memory/new.md');
    symlinkSync('/home/somebody/.bashrc', join(kept, 'one/session.jsonl'));
  });
  expect([...found].sort()).toEqual([
    'agent/projects/one/memory',
    'agent/projects/one/session.jsonl',
    'agent/projects/two/memory',
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
