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
  ].map((name) => `.claude/${name}`),
  ...['config.toml', 'hooks.json', 'hooks', 'prompts', 'rules', 'skills', 'plugins'].map(
    (name) => `.codex/${name}`,
  ),
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
    'agent',
    'tool',
    'tools',
  ].map((name) => `.config/opencode/${name}`),
  ...['mcp-config.json', 'hooks', 'plugins'].map((name) => `.copilot/${name}`),
  ...['mcp.json', 'hooks.json', 'hooks', 'rules', 'extensions'].map((name) => `.cursor/${name}`),
  '.aider.conf.yml',
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
const IN_REPOSITORY: readonly string[] = ['config', 'config.worktree', 'commondir', 'hooks'];

/** Below the working directory: the command may have to write them, and the person has to look. */
const IN_PROJECT: readonly string[] = [
  ...IN_REPOSITORY.map((name) => `.git/${name}`),
  ...['.envrc', '.husky'],
  ...['.vscode', '.idea', '.devcontainer', '.devcontainer.json', '.claude', '.mcp.json', '.codex'],
  ...['.gemini', '.qwen', '.opencode', 'opencode.json', 'opencode.jsonc', '.cursor'],
  ...['.aider.conf.yml', '.github/workflows', '.gitlab-ci.yml', '.pre-commit-config.yaml'],
  ...['lefthook.yml', 'package.json', '.npmrc', '.yarnrc.yml', '.pnpmfile.cjs', 'mise.toml'],
  ...['.mise.toml', '.cargo/config.toml', '.exrc', '.nvimrc', '.nvim.lua', '.gdbinit'],
];

/** In a directory: what is beyond is not looked at. */
const MAX_LOOKED_AT = 5000;
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

  constructor(view: Watched) {
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
  }

  /** What was written since, put there or put in the way of it, by the command or by anybody. */
  changed(): readonly string[] {
    return [...this.#before].flatMap(([path, way]) =>
      wayTo(path, this.#places) !== way || isChanged(path, this.#sinceMs) ? [path] : [],
    );
  }
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
