/**
 * What programs of the person run by themselves later, outside of any fence: hooks and plugins of
 * agents, start files of shells, hooks of git. A command that could write there would run with all
 * rights the next time. What it has no need to write is read-only where it is there; the rest is
 * looked at before and after the run (later/).
 */
import { delimiter, isAbsolute, join } from 'node:path';
import { entriesOf } from './entries-of.ts';
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
  ...['.config/sway', '.config/i3', '.config/hypr', '.config/kitty', '.wezterm.lua'],
  ...['.config/wezterm', '.config/starship.toml'],
  // what start files of shells load, and Python in each program
  ...['.cargo/env', '.cargo/env.fish', '.nvm/nvm.sh', '.nvm/bash_completion', '.sdkman/bin'],
  ...['.oh-my-zsh', '.fzf.bash', '.fzf.zsh', '.asdf/asdf.sh', '.rvm/scripts', '.config/zsh'],
  ...['.local/share/fish/vendor_conf.d', '.local/share/bash-completion', '.local/lib'],
  ...['.ipython', '.jupyter', '.Rprofile', '.Renviron', '.irbrc', '.pryrc', '.pdbrc', '.ghci'],
  // tools that run what their settings name
  ...['.gitconfig', '.config/git', '.vimrc', '.vim', '.config/nvim', '.emacs', '.emacs.d'],
  ...['.config/emacs', '.config/Code/User', '.vscode/extensions', '.tmux.conf', '.config/tmux'],
  ...['.screenrc', '.psqlrc', '.gdbinit', '.config/gdb', '.cargo/config.toml', '.config/mise'],
  ...['.cargo/config', '.config/lazygit', '.config/helix', '.config/zed', '.local/share/nvim/site'],
  ...['.config/Cursor/User', '.config/VSCodium/User', '.vscode-server', '.cursor-server'],
];

/** In a repository, wherever it is. */
export const IN_REPOSITORY: readonly string[] = [
  ...['config', 'config.worktree', 'commondir', 'hooks', 'info/attributes'],
  // Commands stand in what is still to do of a rebase that was stopped.
  ...['rebase-merge', 'rebase-apply', 'sequencer'],
  // Of a screen for git, which runs its commands as it draws.
  'lazygit.yml',
];

/** In any directory of a project: the command may have to write them, and the person has to look. */
export const ANYWHERE: readonly string[] = [
  ...['.envrc', '.husky', '.rvmrc', '.versions.conf', '.autoenv', '.autoenv.zsh'],
  ...['.autoenv_leave.zsh', '.direnv/bin', '.devbox/.nix-print-dev-env-cache', '.lazygit.yml'],
  ...['.vscode', '.idea', '.devcontainer', '.devcontainer.json', '.claude', '.mcp.json', '.codex'],
  ...['.gemini', '.qwen', '.opencode', 'opencode.json', 'opencode.jsonc', '.cursor'],
  ...['.lsp.json', '.copilot', '.claude-plugin', '.aider.model.settings.yml'],
  ...['.aider.conf.yml', '.pre-commit-config.yaml', '.lefthook.yml', 'lefthook.yml'],
  ...['package.json', '.npmrc', '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs', 'pnpm-workspace.yaml'],
  ...['bunfig.toml', 'mise.toml', '.mise.toml', '.tool-versions', '.cargo/config.toml'],
  ...['.cargo/config', '.yarn/releases', '.yarn/plugins', '.pnp.cjs', '.pnp.loader.mjs'],
  ...['mise.local.toml', '.mise.local.toml', '.config/mise', '.config/mise.toml'],
  ...['.lefthook.yaml', 'lefthook.yaml', 'lefthook-local.yml', '.lefthook-local.yml'],
  ...['lefthook.toml', 'lefthook.json', '.mvn', '.bazelrc', '.irbrc', '.windsurf'],
  ...['.exrc', '.nvimrc', '.nvim.lua', '.vimrc', '_vimrc', '.gvimrc', '.lvimrc', '.lazy.lua'],
  ...['.vim', '.helix', '.dir-locals.el', '.dir-locals-2.el', '.zed', '.fleet', '.nova', '.bsp'],
  ...['.externalToolBuilders', '.project', '.settings', '.rubocop.yml', '.solargraph.yml'],
  ...['.gdbinit', '.lldbinit', '.pdbrc', '.pdbrc.py', '.luarc.json'],
  // interpreters, when one is started in the directory
  ...['.Rprofile', '.Renviron', '.RData', '.octaverc', '.ocamlinit', '.ghci', '.iex.exs', '.pryrc'],
  ...['.erlang', 'jupyter_config.py', 'jupyter_notebook_config.py', 'jupyter_server_config.py'],
  // which version of a program runs, and with which settings: it may come from anywhere
  ...['rust-toolchain.toml', 'rust-toolchain', '.mise', 'mise/config.toml', '.rtx.toml'],
  ...['.python-version', '.ruby-version', '.node-version', '.nvmrc', '.java-version', '.sdkmanrc'],
  ...[
    '.php-version',
    '.go-version',
    '.terraform-version',
    '.bazelversion',
    '.bazeliskrc',
    '.buckconfig',
    '.sbtopts',
    '.jvmopts',
  ],
  ...['ansible.cfg', '.bundle/config', '.bundle/plugin', '.yarn/sdks'],
  // other systems of versions: commands and hooks stand in their settings
  ...['.hg/hgrc', '.hg/hgrc-not-shared', '.hg/sharedpath', '.sl/config', '.sl/sharedpath'],
  ...['.jj/repo/config.toml', '.jj/workspace-config.toml'],
  // instructions, which are code to an agent: they read those of the directory that they work in
  ...['CLAUDE.md', 'CLAUDE.local.md', 'AGENTS.md', 'AGENTS.override.md', 'GEMINI.md', 'QWEN.md'],
  ...['.cursorrules', '.windsurfrules', '.clinerules', '.agents'],
];

/** What direnv's helpers keep of an environment, and run instead of making it anew. */
export const KEPT_ENVIRONMENT = /\/\.direnv\/[^/]+\.rc$/;

/** In the working directory itself. */
export const AT_TOP: readonly string[] = [
  // Copilot CLI loads programs from `extensions`, and starts what the others name.
  ...['extensions', 'copilot', 'mcp.json', 'lsp.json', 'plugin'].map((name) => `.github/${name}`),
  ...['.github/copilot-instructions.md', '.github/instructions', '.github/hooks'],
  ...['.github/agents', '.github/prompts', '.github/skills', '.github/actions'],
  ...['.github/workflows', '.gitlab-ci.yml', '.circleci', '.forgejo', '.gitea'],
  ...['.env', '.gitmodules', '.gitattributes', 'CONVENTIONS.md'],
  // environments that direnv enters
  ...[
    'shell.nix',
    'default.nix',
    'flake.nix',
    'flake.lock',
    'devenv.nix',
    'devbox.json',
    '.config',
  ],
  // what Python loads before any program
  ...['sitecustomize.py', 'usercustomize.py', 'conftest.py'],
];

/**
 * What begins with a dot at the top of the working directory is settings of some program until it is
 * known that none runs what stands in it: no list has all programs. These are data, of tools that
 * write them in everyday work.
 */
const NO_SETTINGS: ReadonlySet<string> = new Set([
  ...['.gitignore', '.gitkeep', '.keep', '.git-blame-ignore-revs', '.mailmap', '.nojekyll'],
  ...['.hgignore', '.ignore', '.rgignore', '.dockerignore', '.npmignore', '.eslintignore'],
  ...['.prettierignore', '.stylelintignore', '.helmignore', '.gcloudignore', '.vercelignore'],
  ...['.editorconfig', '.env.example', '.env.sample', '.env.template', '.env.dist'],
  ...['.DS_Store', '.directory', '.localized', '.history', '.trash', '.tmp', '.temp', '.cache'],
  ...['.eslintcache', '.stylelintcache', '.prettiercache', '.tsbuildinfo', '.coverage'],
  ...['.phpunit.result.cache', '.phpunit.cache', '.php-cs-fixer.cache', '.rspec_status'],
  ...['.pytest_cache', '.mypy_cache', '.ruff_cache', '.hypothesis', '.tox', '.nox', '.eggs'],
  ...['.ipynb_checkpoints', '.next', '.nuxt', '.output', '.svelte-kit', '.astro', '.docusaurus'],
  ...['.turbo', '.parcel-cache', '.angular', '.vite', '.vitest', '.nx', '.sass-cache', '.expo'],
  ...['.nyc_output', '.gradle', '.kotlin', '.dart_tool', '.build', '.stack-work', '.zig-cache'],
  ...[
    '.terraform',
    '.terraform.lock.hcl',
    '.serverless',
    '.aws-sam',
    '.deps',
    '.libs',
    '.dirstamp',
  ],
  ...['.ninja_log', '.ninja_deps', '.ccls-cache', '.metals', '.bloop', '.scannerwork'],
  ...['.python_history', '.node_repl_history', '.psql_history', '.bash_history', '.zsh_history'],
  ...['.Rhistory', '.lesshst', '.viminfo', '.wget-hsts'],
]);
/** Of editors, while a file is open, and of file systems. */
const PASSING = /\.sw[a-p]$|~$|^\.[#_]|^\.coverage\.|^\.nfs|^\.fuse_hidden/;

/** @param name of what is at the top of the working directory */
export function maybeSettings(name: string): boolean {
  return name.startsWith('.') && !NO_SETTINGS.has(name) && !PASSING.test(name);
}

/** Below the working directory: environments of Python, in which every program loads such files. */
export const VENVS: readonly string[] = ['.venv', 'venv', 'env', '.env'];

/** Parts of the name of a submodule. */
const MAX_MODULE_DEPTH = 5;

/**
 * Paths that a command may not write, there or not; among them the directories of PATH, whose
 * programs the person starts by name.
 * @param git repositories that may be written
 */
export function neverWritten(
  homes: readonly string[],
  git: readonly string[],
  env: NodeJS.ProcessEnv,
): readonly string[] {
  return [
    ...inHome(IN_HOME, homes, env),
    ...(env['PATH'] ?? '').split(delimiter).filter(isAbsolute),
    ...git.flatMap(withModules).map((directory) => join(directory, 'hooks')),
  ];
}

/** Settings of git that hold in every repository, there or not: what they name may be in any. */
export function gitSettings(homes: readonly string[], env: NodeJS.ProcessEnv): readonly string[] {
  return [
    ...[env['GIT_CONFIG_SYSTEM'] ?? '/etc/gitconfig', env['GIT_CONFIG_GLOBAL'] ?? ''],
    ...inHome(['.gitconfig', '.config/git/config'], homes, env),
  ].filter(isAbsolute);
}

/** The repository and those of its submodules, whose names may have slashes in them. */
export function withModules(directory: string): readonly string[] {
  return [directory, ...modulesIn(join(directory, 'modules'), MAX_MODULE_DEPTH)];
}

/** Of worktrees of the repository that are elsewhere: what leads git to its settings, and settings. */
export function worktreesIn(git: string): readonly string[] {
  const worktrees = join(git, 'worktrees');
  return entriesOf(worktrees).flatMap(({ name }) =>
    ['commondir', 'gitdir', 'config.worktree'].map((file) => join(worktrees, name, file)),
  );
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
