import { AgentProfile } from './agent-profile.ts';
import { aider } from './built-in/aider.ts';
import { claudeCode } from './built-in/claude-code.ts';
import { codex } from './built-in/codex.ts';
import { copilot } from './built-in/copilot.ts';
import { geminiCli } from './built-in/gemini-cli.ts';
import { opencode } from './built-in/opencode.ts';
import { qwenCode } from './built-in/qwen-code.ts';

export const BUILT_IN_PROFILES = [claudeCode, codex, geminiCli, qwenCode, opencode, copilot, aider];

/** By name, or by the name of a program. */
export function builtInProfile(
  is: (name: string, commands: readonly string[]) => boolean,
): AgentProfile | undefined {
  const found = BUILT_IN_PROFILES.find(({ name, commands }) => is(name, commands));
  return found === undefined ? undefined : AgentProfile.parse(found);
}

export const BUILT_IN_NAMES: readonly string[] = BUILT_IN_PROFILES.map(({ name }) => name);
