import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';
import { MODEL_KEYS, MODEL_URLS } from './model-keys.ts';

/** https://opencode.ai/docs/plugins: a prompt waits for the hook, and fails with it. */
const PLUGIN = `import { spawnSync } from 'node:child_process';
export const Hoop = async () => ({
  'chat.message': async (_input, { parts }) => {
    const prompt = parts.filter((part) => part.type === 'text' && !part.synthetic).map((part) => part.text).join('\\n');
    const input = JSON.stringify({ hook_event_name: 'chat.message', prompt });
    spawnSync('/bin/sh', ['-c', {hook}], { input, stdio: ['pipe', 'ignore', 'ignore'], timeout: 30_000 });
  },
});
`;

export const opencode: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'opencode',
  hook: 'opencode',
  commands: ['opencode'],
  hosts: ['models.dev', 'opencode.ai'],
  keys: { ...MODEL_KEYS, OPENCODE_API_KEY: [] },
  baseUrls: MODEL_URLS,
  state: [
    // Its database of sessions is a copy as well: git runs in `snapshot`, programs are in `bin`.
    {
      path: '~/.local/share/opencode',
      keep: ['storage/', 'log/'],
      // No new entry: one of the type `wellknown` sets any variable, and loads settings from its URL.
      keepMembers: { 'auth.json': ['*.access', '*.refresh', '*.expires'] },
      hide: ['mcp-auth.json'],
    },
    // A command that runs in each new worktree stands in these.
    { path: '~/.local/share/opencode/storage/project' },
    { path: '~/.local/state/opencode' },
    { path: '~/.config/opencode' },
  ],
  files: {
    'plugin.mjs': PLUGIN,
  },
  variables: {
    OPENCODE_CONFIG_CONTENT:
      '{"plugin":["file://{files}/plugin.mjs"],"instructions":["{briefing}"]}',
    OPENCODE_EXPERIMENTAL_BASH_DEFAULT_TIMEOUT_MS: '1800000',
  },
  fenced: {
    variables: { OPENCODE_DISABLE_AUTOUPDATE: 'true', OPENCODE_DISABLE_LSP_DOWNLOAD: 'true' },
  },
};
