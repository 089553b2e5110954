/**
 * What programs of the person run by themselves later, outside of any fence: hooks and plugins of
 * agents, start files of shells, hooks of git. A command that could write there would run with all
 * rights the next time. What it has no need to write is read-only where it is there; of the rest it
 * is said after the run what has changed.
 */
import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FenceView } from './fence-view.ts';
import { inHome } from './in-home.ts';
import { repositoriesBelow } from './repositories-below.ts';
import type { Kept } from './shadow-state.ts';

/** Below the home directory. */
const IN_HOME: readonly string[] = [
  // agents: settings (hooks and MCP servers stand in them), plugins, commands
  ...[
    'settings.json',
    'settings.local.json',
    'hooks',
    'plugins',
    'commands',
    'agents',
    'skills',
    // The program itself, where it was installed by `claude migrate-installer`.
    'local',
  ].map((name) => `.claude/${name}`),
  ...['config.toml', 'hooks.json', 'hooks', 'prompts', 'rules', 'skills', 'plugins', 'agents'].map(
    (name) => `.codex/${name}`,
  ),
  // Of several agents.
  '.agents',
  ...['.gemini', '.qwen'].flatMap((agent) =>
    [
      'settings.json',
      'hooks',
      'extensions',
      'commands',
      'skills',
      'agents',
      'policies',
      '.env',
    ].map((name) => `${agent}/${name}`),
  ),
  ...[
    'opencode.json',
    'opencode.jsonc',
    'plugin',
    'plugins',
    'command',
    'commands',
    'agent',
    'agents',
    'skill',
    'skills',
    'tool',
    'tools',
  ].map((name) => `.config/opencode/${name}`),
  ...['settings.json', 'mcp-config.json', 'lsp-config.json', 'hooks', 'plugins', 'agents'].map(
    (name) => `.copilot/${name}`,
  ),
  ...['skills', 'extensions', 'installed-plugins'].map((name) => `.copilot/${name}`),
  ...['output-styles', 'workflows', 'rules', 'statusline-command.sh'].map(
    (name) => `.qwen/${name}`,
  ),
  ...['mcp.json', 'hooks.json', 'hooks', 'rules', 'extensions'].map((name) => `.cursor/${name}`),
  ...['.aider.conf.yml', '.aider.model.settings.yml'],
  // shells
  ...['.profile', '.bashrc', '.bash_profile', '.bash_login', '.bash_logout', '.bash_aliases'],
  ...['.zshrc', '.zshenv', '.zprofile', '.zlogin', '.zlogout', '.kshrc', '.cshrc', '.tcshrc'],
  ...['.inputrc', '.config/fish', '.config/nushell', '.config/direnv', '.direnvrc'],
  // desktops and services
  ...['.xprofile', '.xinitrc', '.xsession', '.xsessionrc', '.pam_environment', '.config/autostart'],
  ...['.config/systemd', '.config/environment.d', '.local/share/systemd', '.local/share/dbus-1'],
  ...['.local/share/applications', '.local/bin', 'bin', '.cargo/bin'],
  // tools that run what their settings name
  ...['.gitconfig', '.config/git', '.vimrc', '.vim', '.config/nvim', '.emacs', '.emacs.d'],
  ...['.config/emacs', '.config/Code/User', '.vscode/extensions', '.tmux.conf', '.config/tmux'],
  ...['.screenrc', '.psqlrc', '.gdbinit', '.config/gdb', '.cargo/config.toml', '.config/mise'],
];

/** In a repository, wherever it is. */
const IN_REPOSITORY: readonly string[] = [
  ...['config', 'config.worktree', 'commondir', 'hooks', 'info/attributes'],
  // Commands stand in what is still to do of a rebase that was stopped.
  ...['rebase-merge', 'rebase-apply', 'sequencer'],
];

/** Below the working directory: the command may have to write them, and the person has to look. */
const IN_PROJECT: readonly string[] = [
  ...IN_REPOSITORY.map((name) => `.git/${name}`),
  ...['.envrc', '.husky'],
  ...['.vscode', '.idea', '.devcontainer', '.devcontainer.json', '.claude', '.mcp.json', '.codex'],
  ...['.gemini', '.qwen', '.opencode', 'opencode.json', 'opencode.jsonc', '.cursor'],
  // Copilot CLI loads programs from `extensions`, and starts what the others name.
  ...['extensions', 'copilot', 'mcp.json', 'lsp.json', 'plugin'].map((name) => `.github/${name}`),
  ...['.lsp.json', '.copilot', '.claude-plugin', '.aider.model.settings.yml'],
  ...['.aider.conf.yml', '.github/workflows', '.gitlab-ci.yml', '.pre-commit-config.yaml'],
  ...['lefthook.yml', 'package.json', '.npmrc', '.yarnrc.yml', '.pnpmfile.cjs', 'mise.toml'],
  ...['.mise.toml', '.cargo/config.toml', '.exrc', '.nvimrc', '.nvim.lua', '.gdbinit'],
  ...['.env', '.gitmodules', '.gitattributes', '.lefthook.yml', '.tool-versions', '.dir-locals.el'],
  ...['.zed', '.circleci', '.forgejo', '.gitea', 'bunfig.toml', 'pnpm-workspace.yaml', '.yarnrc'],
  // what Python loads before any program
  ...['sitecustomize.py', 'usercustomize.py', 'conftest.py'],
  // instructions, which are code to an agent
  ...['CLAUDE.md', 'CLAUDE.local.md', 'AGENTS.md', 'AGENTS.override.md', 'GEMINI.md', 'QWEN.md'],
  ...['CONVENTIONS.md', '.cursorrules', '.windsurfrules', '.clinerules', '.agents'],
  ...['.github/copilot-instructions.md', '.github/instructions', '.github/hooks'],
  ...['.github/agents', '.github/prompts', '.github/skills', '.github/actions'],
];
/** Below the working directory: environments of Python, in which every program loads such files. */
const VENVS: readonly string[] = ['.venv', 'venv', 'env', '.env'];

/** In a directory: what is beyond is not looked at. */
const MAX_LOOKED_AT = 5000;
/** In directories that an agent keeps. */
const MAX_LISTED = 50_000;
/** Parts of the name of a submodule. */
const MAX_MODULE_DEPTH = 5;
/** Times of files are those of the last tick of the kernel's clock. */
const TICK_MS = 20;

/** Paths that a command may not write, there or not. @param git repositories that may be written */
export function neverWritten(
  homes: readonly string[],
  git: readonly string[],
  env: NodeJS.ProcessEnv,
): readonly string[] {
  return [
    ...inHome(IN_HOME, homes, env),
    ...git.flatMap(withModules).map((directory) => join(directory, 'hooks')),
  ];
}

/** The repository and those of its submodules, whose names may have slashes in them. */
function withModules(directory: string): readonly string[] {
  return [directory, ...modulesIn(join(directory, 'modules'), MAX_MODULE_DEPTH)];
}

function modulesIn(directory: string, depth: number): readonly string[] {
  return entriesOf(directory)
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const path = join(directory, name);
      if (entriesOf(path).some((entry) => entry.name === 'HEAD')) return withModules(path);
      return depth === 0 ? [] : modulesIn(path, depth - 1);
    });
}

type Watched = Pick<FenceView, 'cwd' | 'cwdIs' | 'known' | 'neverWritten' | 'repositories'>;

/** What runs by itself later and may be written, as it is before the command starts. */
export class RunsLater {
  readonly #sinceMs = Date.now() - TICK_MS;
  readonly #places: readonly string[];
  /** By path: which entries lead there, and to what it leads itself. */
  readonly #before: ReadonlyMap<string, string>;
  readonly #projects: readonly string[];
  readonly #repositories: ReadonlySet<string>;
  readonly #kept: Kept;

  constructor(view: Watched, kept: Kept = { directories: [], instructions: [] }) {
    const { cwd, cwdIs, known, neverWritten, repositories } = view;
    const places = known.places.map(({ path }) => path);
    const paths = [
      ...(cwdIs === 'writable' ? IN_PROJECT.map((name) => join(cwd, name)) : []),
      ...repositories
        .flatMap(withModules)
        .flatMap((directory) => IN_REPOSITORY.map((name) => join(directory, name))),
      ...neverWritten,
    ];
    const reachable = paths.filter((path) => places.some((place) => path.startsWith(`${place}/`)));
    this.#before = new Map(reachable.map((path) => [path, wayTo(path, places)]));
    this.#places = places;
    this.#kept = kept;
    this.#projects = places.filter((place) => cwdIs === 'writable' && place === cwd);
    this.#repositories = new Set(this.#projects.flatMap(repositoriesBelow));
  }

  /** What was written since, put there or put in the way of it, by the command or by anybody. */
  changed(): readonly string[] {
    const watched = [...this.#before].flatMap(([path, way]) =>
      wayTo(path, this.#places) !== way || isChanged(path, this.#sinceMs) ? [path] : [],
    );
    return [...new Set([...watched, ...this.#made(), ...this.#inKept()])];
  }

  /** Repositories that were not there (git runs what their settings name), and start files of Python. */
  #made(): readonly string[] {
    return this.#projects.flatMap((project) => [
      ...repositoriesBelow(project).filter(
        (path) => !this.#repositories.has(path) && statOf(path) !== undefined,
      ),
      ...VENVS.flatMap((name) => startFilesOf(join(project, name))).filter((path) =>
        isChanged(path, this.#sinceMs),
      ),
    ]);
  }

  /** Instructions for the next run, and links, over which an agent would write somewhere else. */
  #inKept(): readonly string[] {
    const { directories, instructions } = this.#kept;
    return [
      ...instructions.flatMap(matching).filter((path) => isChanged(path, this.#sinceMs)),
      ...directories
        .flatMap(linksIn)
        .filter((path) => (statOf(path)?.ctimeMs ?? 0) >= this.#sinceMs),
    ];
  }
}

/** `lib/python3.N/site-packages/*.pth` and the like. */
function startFilesOf(venv: string): readonly string[] {
  return matching(join(venv, 'lib', '*', 'site-packages', '*')).filter((path) =>
    /\/[^/]+\.pth$|\/(site|user)customize\.py$/.test(path),
  );
}

/** Paths that are there. @param pattern with `*` for any name */
function matching(pattern: string): readonly string[] {
  const [, ...parts] = pattern.split('/');
  return parts.reduce<readonly string[]>(
    (found, part) =>
      found.flatMap((path) =>
        (part === '*' ? entriesOf(path || '/').map(({ name }) => name) : [part])
          .map((name) => `${path}/${name}`)
          .filter((one) => statOf(one) !== undefined),
      ),
    [''],
  );
}

function linksIn(top: string): readonly string[] {
  const found: string[] = [];
  const rest = [top];
  for (let listed = 0; rest.length > 0 && listed < MAX_LISTED; ) {
    const directory = rest.pop() ?? top;
    for (const entry of entriesOf(directory)) {
      listed += 1;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) rest.push(path);
      if (entry.isSymbolicLink()) found.push(path);
    }
  }
  return found;
}

/**
 * A directory above may be renamed, with what was written in it at another time: so it is looked at
 * which ones they are, and, where the end is a link, what it leads to.
 */
function wayTo(path: string, places: readonly string[]): string {
  const ids: string[] = [];
  for (let above = path; !places.includes(above) && above !== '/'; above = dirname(above)) {
    const stat = statOf(above);
    // A file that is replaced is told by its time, as is one that goes.
    const isPlain = stat === undefined || (above === path && stat.isFile());
    ids.push(isPlain ? '' : `${stat.dev}:${stat.ino}`);
  }
  return ids.join(' ');
}

/** The time of the last change of an entry (ctime) is the kernel's: no program can set it. */
function isChanged(top: string, sinceMs: number): boolean {
  const real = realOf(top);
  const rest = real === top ? [top] : [top, real];
  for (let looked = 0; rest.length > 0 && looked < MAX_LOOKED_AT; looked += 1) {
    const path = rest.pop() ?? top;
    const stat = statOf(path);
    if (stat !== undefined && stat.ctimeMs >= sinceMs) {
      return true;
    }
    if (stat?.isDirectory()) {
      rest.push(...entriesOf(path).map(({ name }) => join(path, name)));
    }
  }
  return false;
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // Below a file.
    return undefined;
  }
}

/** Where a link ends; itself when it is none. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    // Gone, or made unreadable: its own time tells.
    return [];
  }
}
