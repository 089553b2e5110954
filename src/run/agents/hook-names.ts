/** Agents whose hooks hoop can read: `hoop prompt --hook NAME`. */
export const HOOKS = [
  'claude-code',
  'codex',
  'gemini-cli',
  'qwen-code',
  'copilot',
  'opencode',
  'cursor',
] as const;
export type HookName = (typeof HOOKS)[number];
