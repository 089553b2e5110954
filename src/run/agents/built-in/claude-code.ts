import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';

const HOOK = [{ hooks: [{ type: 'command', command: '{hook}', timeout: 30 }] }];
/** A statement may wait half an hour for a person. */
const PATIENT_MS = '1800000';

/** https://code.claude.com/docs/en/settings, …/hooks */
export const claudeCode: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'claude-code',
  hook: 'claude-code',
  commands: ['claude'],
  hosts: ['api.anthropic.com', 'console.anthropic.com', 'platform.claude.com', 'claude.ai'],
  keys: { ANTHROPIC_API_KEY: [], ANTHROPIC_AUTH_TOKEN: [], CLAUDE_CODE_OAUTH_TOKEN: [] },
  baseUrls: ['ANTHROPIC_BASE_URL'],
  state: [
    {
      path: '~/.claude',
      movedBy: 'CLAUDE_CONFIG_DIR',
      // Not `session-env` and `shell-snapshots`: they hold shell scripts that it runs.
      keep: ['projects/', 'todos/', 'tasks/', 'plans/', 'file-history/', 'history.jsonl'],
      instructions: ['projects/*/memory'],
      // Beside it stand the tokens of MCP servers, and where those are renewed.
      showMembers: { '.credentials.json': ['claudeAiOauth'] },
      keepMembers: {
        '.credentials.json': ['claudeAiOauth'],
        '.claude.json': ['oauthAccount', 'userID', 'hasCompletedOnboarding', 'theme'],
      },
    },
    {
      // MCP servers and what the person has agreed to stand in it, too.
      file: '~/.claude.json',
      keepMembers: ['oauthAccount', 'userID', 'hasCompletedOnboarding', 'theme'],
    },
  ],
  files: {
    'settings.json': {
      hooks: { SessionStart: HOOK, SubagentStart: HOOK, UserPromptSubmit: HOOK },
    },
  },
  arguments: ['--settings', '{files}/settings.json'],
  variables: {
    BASH_DEFAULT_TIMEOUT_MS: PATIENT_MS,
    BASH_MAX_TIMEOUT_MS: PATIENT_MS,
    MCP_TOOL_TIMEOUT: PATIENT_MS,
  },
  // It waits for hosts of statistics and updates that the fence does not let through.
  fenced: {
    variables: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1' },
  },
};
