import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';

const HOOK = "[{hooks=[{type='command',command='''{hook}''',timeout=30}]}]";

/** https://developers.openai.com/codex/config-reference, …/hooks */
export const codex: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'codex',
  hook: 'codex',
  commands: ['codex'],
  hosts: ['api.openai.com', 'auth.openai.com', 'chatgpt.com'],
  keys: { OPENAI_API_KEY: [], CODEX_API_KEY: [] },
  baseUrls: ['OPENAI_BASE_URL'],
  state: [
    {
      path: '~/.codex',
      movedBy: 'CODEX_HOME',
      keep: ['sessions/', 'archived_sessions/', 'history.jsonl', 'installation_id'],
      keepMembers: { 'auth.json': ['auth_mode', 'OPENAI_API_KEY', 'tokens', 'last_refresh'] },
      // Tokens of MCP servers.
      hide: ['.credentials.json'],
    },
  ],
  arguments: ['SessionStart', 'SubagentStart', 'UserPromptSubmit'].flatMap((event) => [
    '-c',
    `hooks.${event}=${HOOK}`,
  ]),
  fenced: {
    // Nobody can review a hook that is new in each run. Inside, all hooks are as fenced as Codex is.
    arguments: [
      '--dangerously-bypass-hook-trust',
      ...['-c', 'sandbox_workspace_write.network_access=true'],
      ...['-c', 'check_for_update_on_startup=false'],
    ],
    notes: [
      'Codex asks whether to trust a directory that it does not know; a fenced run does not keep the answer: answer once outside a fence',
    ],
  },
  // It keeps the answer by a hash of the command, which is the same in each run.
  unfenced: {
    notes: [
      'Codex asks once whether to trust hoop’s hooks: choose "Trust all" on its screen; until then it skips them, also in `codex exec`, and no prompt is recorded',
    ],
    untied: 'Codex skips hooks until you trust them on its screen',
  },
};
