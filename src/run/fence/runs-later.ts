/**
 * What programs of the person run by themselves later, outside of any fence: hooks and plugins of
 * agents, start files of shells, hooks of git. A command that could write there would run with all
 * rights the next time. What it has no need to write is read-only where it is there; of the rest it
 * is said after the run what has changed.
 */
import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs';
import { join, relative } from 'node:path';
import type { FenceView } from './fence-view.ts';

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

/** Below the working directory: the command may have to write them, and the person has to look. */
const IN_PROJECT: readonly string[] = [
  ...['.git/config', '.git/hooks', '.git/commondir', '.git/config.worktree', '.envrc', '.husky'],
  ...['.vscode', '.idea', '.devcontainer', '.devcontainer.json', '.claude', '.mcp.json', '.codex'],
  ...['.gemini', '.qwen', '.opencode', 'opencode.json', 'opencode.jsonc', '.cursor'],
  ...['.aider.conf.yml', '.github/workflows', '.gitlab-ci.yml', '.pre-commit-config.yaml'],
  ...['lefthook.yml', 'package.json', '.npmrc', '.yarnrc.yml', '.pnpmfile.cjs', 'mise.toml'],
  ...['.mise.toml', '.cargo/config.toml', '.exrc', '.nvimrc', '.nvim.lua', '.gdbinit'],
];

/** Variables that move the directory of an agent. */
const MOVED: Readonly<Record<string, string>> = {
  CLAUDE_CONFIG_DIR: '.claude',
  CODEX_HOME: '.codex',
};

/** In a directory: what is beyond is not looked at. */
const MAX_LOOKED_AT = 5000;
/** Times of files are those of the last tick of the kernel's clock. */
const TICK_MS = 20;

/** Paths that a command may not write, there or not. @param git repositories that may be written */
export function neverWritten(
  homes: readonly string[],
  git: readonly string[],
  env: NodeJS.ProcessEnv,
): readonly string[] {
  const moved = Object.entries(MOVED).flatMap(([variable, usual]) => {
    const place = env[variable];
    const names = IN_HOME.filter((name) => name.startsWith(`${usual}/`));
    return place ? names.map((name) => join(place, relative(usual, name))) : [];
  });
  return [
    ...homes.flatMap((home) => IN_HOME.map((name) => join(home, name))),
    ...moved,
    ...git.map((directory) => join(directory, 'hooks')),
  ];
}

/** Files that run by themselves and were written since, by the command or by anybody. */
export function changedSince(
  view: Pick<FenceView, 'cwd' | 'cwdIs' | 'known' | 'neverWritten'>,
  sinceMs: number,
): readonly string[] {
  const places = view.known.places.map(({ path }) => path);
  const inProject = view.cwdIs === 'writable' ? IN_PROJECT.map((name) => join(view.cwd, name)) : [];
  const inHome = view.neverWritten.filter((path) =>
    places.some((place) => path.startsWith(`${place}/`)),
  );
  return [...new Set([...inProject, ...inHome])].filter((path) =>
    isChanged(path, sinceMs - TICK_MS),
  );
}

/** The time of the last change of an entry (ctime) is the kernel's: no program can set it. */
function isChanged(top: string, sinceMs: number): boolean {
  const rest = [top];
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

function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    // Gone, or made unreadable: its own time tells.
    return [];
  }
}
