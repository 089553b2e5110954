/**
 * What agents hand to a hook that runs before a prompt goes to the model, and what they read from
 * its stdout. Each is one JSON object on stdin with the prompt in `prompt`:
 *
 *     claude-code  UserPromptSubmit    stdout goes to the model: nothing
 *     codex        UserPromptSubmit    the same
 *     gemini-cli   BeforeAgent         stdout must be JSON
 *     cursor       beforeSubmitPrompt  stdout must be JSON that says to go on
 */
import * as z from 'zod';
import { HoopError } from '../errors.ts';

export const HOOKS = ['claude-code', 'codex', 'gemini-cli', 'cursor'] as const;
export type HookName = (typeof HOOKS)[number];

/** `event` is the only one that is a prompt; another one means that the hook is in a wrong place. */
const FORMATS: Readonly<Record<HookName, { readonly event: string; readonly answer: string }>> = {
  'claude-code': { event: 'UserPromptSubmit', answer: '' },
  codex: { event: 'UserPromptSubmit', answer: '' },
  'gemini-cli': { event: 'BeforeAgent', answer: '{}\n' },
  cursor: { event: 'beforeSubmitPrompt', answer: '{"continue":true}\n' },
};

const HookInput = z.object({ hook_event_name: z.string(), prompt: z.string() });

/** @throws HoopError HOOP_USAGE for what is not such an input */
export function hookPrompt(hook: HookName, input: string): string {
  const found = HookInput.safeParse(parseJson(input)).data;
  const { event } = FORMATS[hook];
  if (found?.hook_event_name !== event) {
    throw new HoopError('HOOP_USAGE', `stdin is not the input of a ${event} hook of ${hook}`, {
      detail: 'It must be one JSON object with `hook_event_name` and `prompt`.',
      hint: `Put the command under ${event} in the settings of the agent.`,
    });
  }
  return found.prompt;
}

/** What stdout must hold for the agent to go on. */
export function hookAnswer(hook: HookName): string {
  return FORMATS[hook].answer;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
