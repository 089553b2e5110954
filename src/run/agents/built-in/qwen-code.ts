import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';

const HOOK = [{ hooks: [{ name: 'hoop', type: 'command', command: '{hook}', timeout: 30_000 }] }];

/** https://qwenlm.github.io/qwen-code-docs/ */
export const qwenCode: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'qwen-code',
  hook: 'qwen-code',
  commands: ['qwen'],
  hosts: [
    ...['chat.qwen.ai', 'portal.qwen.ai', 'dashscope.aliyuncs.com'],
    ...['dashscope-intl.aliyuncs.com', 'coding-intl.dashscope.aliyuncs.com'],
  ],
  keys: {
    OPENAI_API_KEY: ['api.openai.com'],
    DASHSCOPE_API_KEY: [],
    BAILIAN_CODING_PLAN_API_KEY: ['coding.dashscope.aliyuncs.com'],
  },
  baseUrls: ['OPENAI_BASE_URL'],
  state: [
    {
      path: '~/.qwen',
      movedBy: 'QWEN_HOME',
      keep: ['projects/', 'todos/', 'installation_id'],
      instructions: ['projects/*/memory'],
      // Not `resource_url`: it is the server that the next prompt goes to, and that answers it.
      keepMembers: {
        'oauth_creds.json': [
          ...['access_token', 'refresh_token', 'id_token', 'token_type', 'expiry_date'],
        ],
      },
      hide: ['mcp-oauth-tokens.json', 'mcp-oauth-tokens-v2.json'],
    },
  ],
  files: {
    'system-defaults.json': {
      hooks: { SessionStart: HOOK, SubagentStart: HOOK, UserPromptSubmit: HOOK },
    },
  },
  variables: { QWEN_CODE_SYSTEM_DEFAULTS_PATH: '{files}/system-defaults.json' },
};
