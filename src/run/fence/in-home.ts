import { isAbsolute, join, relative } from 'node:path';

/** Variables that move a directory of one's home. */
const MOVED: readonly (readonly [variable: string, usual: string])[] = [
  ['XDG_CONFIG_HOME', '.config'],
  ['XDG_DATA_HOME', '.local/share'],
  ['XDG_STATE_HOME', '.local/state'],
  ['XDG_CACHE_HOME', '.cache'],
  ['HF_HOME', '.cache/huggingface'],
  ['CARGO_HOME', '.cargo'],
  ['GRADLE_USER_HOME', '.gradle'],
  ['COMPOSER_HOME', '.composer'],
  ['CLAUDE_CONFIG_DIR', '.claude'],
  ['CODEX_HOME', '.codex'],
  ['QWEN_HOME', '.qwen'],
  ['COPILOT_HOME', '.copilot'],
];

/** Where names of the home directory are: there, and where the variables say. */
export function inHome(
  names: readonly string[],
  homes: readonly string[],
  env: NodeJS.ProcessEnv,
): readonly string[] {
  const moved = MOVED.flatMap(([variable, usual]) => {
    const place = env[variable] ?? '';
    const those = names.filter((name) => name.startsWith(`${usual}/`));
    return isAbsolute(place) ? those.map((name) => join(place, relative(usual, name))) : [];
  });
  return [...homes.flatMap((home) => names.map((name) => join(home, name))), ...moved];
}
