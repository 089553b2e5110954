import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';

const HOOK = [{ type: 'command', bash: '{hook}', timeoutSec: 30 }];

/** https://docs.github.com/copilot/reference/hooks-configuration */
export const copilot: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'copilot',
  hook: 'copilot',
  commands: ['copilot'],
  hosts: ['api.github.com', 'github.com', '*.githubcopilot.com'],
  keys: {
    COPILOT_GITHUB_TOKEN: [],
    COPILOT_PROVIDER_API_KEY: [],
    COPILOT_PROVIDER_BEARER_TOKEN: [],
  },
  baseUrls: ['COPILOT_PROVIDER_BASE_URL'],
  state: [
    {
      path: '~/.copilot',
      movedBy: 'COPILOT_HOME',
      keep: ['session-state/', 'history-session-state/', 'logs/'],
      hide: ['mcp-oauth-config/'],
      keepMembers: {
        // Not the users: with each stands the server that the next prompt goes to.
        'config.json': ['copilot_tokens.*'],
      },
    },
  ],
  files: {
    'plugin/plugin.json': {
      name: 'hoop',
      version: '1.0.0',
      description: 'Tells hoop what was asked for, and the agent what it may do.',
      hooks: 'hooks/hooks.json',
    },
    'plugin/hooks/hooks.json': {
      version: 1,
      hooks: { sessionStart: HOOK, subagentStart: HOOK, userPromptSubmitted: HOOK },
    },
  },
  arguments: ['--plugin-dir', '{files}/plugin'],
  fenced: { variables: { COPILOT_AUTO_UPDATE: 'false' } },
};
