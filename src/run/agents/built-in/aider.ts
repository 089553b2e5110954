import type { z } from 'zod';
import type { AgentProfile } from '../agent-profile.ts';
import { MODEL_KEYS, MODEL_URLS } from './model-keys.ts';

/** https://aider.chat/docs/config/options.html; it has no hooks. */
export const aider: z.input<typeof AgentProfile> = {
  version: 1,
  name: 'aider',
  commands: ['aider'],
  keys: MODEL_KEYS,
  baseUrls: MODEL_URLS,
  state: [{ path: '~/.aider' }],
  arguments: ['--read', '{briefing}'],
  variables: { AIDER_CHECK_UPDATE: 'false' },
  promptOptions: ['-m', '--message', '--msg'],
  notes: ['aider has no hooks: prompts typed in it are not recorded'],
  untied:
    'aider has no hooks: `--message` and `--prompt` of hoop run are recorded, typed prompts are not',
};
