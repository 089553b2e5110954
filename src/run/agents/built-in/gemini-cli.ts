import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';

const HOOK = [{ hooks: [{ name: 'hoop', type: 'command', command: '{hook}', timeout: 30_000 }] }];
const SETTINGS = {
  hooks: { SessionStart: HOOK, BeforeAgent: HOOK },
  tools: { shell: { inactivityTimeout: 1800 } },
};

/** https://geminicli.com/docs/reference/configuration, …/hooks */
export const geminiCli: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'gemini-cli',
  hook: 'gemini-cli',
  commands: ['gemini'],
  hosts: [
    ...['generativelanguage.googleapis.com', 'cloudcode-pa.googleapis.com'],
    ...['oauth2.googleapis.com', 'accounts.google.com', 'www.googleapis.com'],
  ],
  keys: { GEMINI_API_KEY: [], GOOGLE_API_KEY: [] },
  baseUrls: ['GOOGLE_GEMINI_BASE_URL'],
  state: [
    {
      path: '~/.gemini',
      // Not `tmp`: it holds programs that Gemini has downloaded; not `history`: git runs in it.
      keep: ['google_accounts.json', 'installation_id'],
      // No `type`: with another one it says where, or with which program, to get a token.
      keepMembers: {
        'oauth_creds.json': [
          ...['access_token', 'refresh_token', 'id_token', 'token_type', 'expiry_date', 'scope'],
        ],
      },
      hide: ['mcp-oauth-tokens.json', 'mcp-oauth-tokens-v2.json'],
      settings: { 'settings.json': SETTINGS },
    },
  ],
  files: { 'system-defaults.json': SETTINGS },
  // It takes such a file from a directory of root alone, and goes on without it.
  unfenced: {
    variables: { GEMINI_CLI_SYSTEM_DEFAULTS_PATH: '{files}/system-defaults.json' },
    untied:
      'without a fence Gemini CLI uses only the hooks in its own settings: add hoop’s hook there (docs/agents.md), or use --fence',
  },
};
