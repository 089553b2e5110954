/**
 * What agents hand to a hook, and what they read from its stdout: one JSON object each way. Before a
 * prompt goes to the model its text is in `prompt`. At the start of a session or of a subagent what
 * the hook answers becomes context of the model: the briefing.
 *
 *     claude-code  SessionStart, SubagentStart, UserPromptSubmit
 *     codex        the same
 *     qwen-code    the same
 *     gemini-cli   SessionStart, BeforeAgent           stdout must be JSON
 *     copilot      no name of the event: `prompt`, or something else
 *     cursor       beforeSubmitPrompt                  stdout must be JSON that says to go on
 *     opencode     chat.message, from hoop's own plugin
 */
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import type { HookName } from '../../run/agents/hook-names.ts';

export interface HookInput {
  /** Undefined: it is told the briefing. */
  readonly prompt: string | undefined;
  /** What stdout must hold for the agent to go on. @param context undefined: there is none */
  readonly answer: (context: string | undefined) => string;
}

interface HookFormat {
  /** Of a prompt; undefined: its events have no names. */
  readonly prompt: string | undefined;
  readonly context: readonly string[];
  /** With nothing to say. */
  readonly empty: string;
  readonly withContext: (event: string, context: string) => object;
}

const inHookOutput = (hookEventName: string, additionalContext: string): object => ({
  hookSpecificOutput: { hookEventName, additionalContext },
});
const CLAUDE: HookFormat = {
  prompt: 'UserPromptSubmit',
  context: ['SessionStart', 'SubagentStart'],
  empty: '',
  withContext: inHookOutput,
};

const FORMATS: Readonly<Record<HookName, HookFormat>> = {
  'claude-code': CLAUDE,
  codex: CLAUDE,
  'qwen-code': { ...CLAUDE, empty: '{}\n' },
  'gemini-cli': {
    prompt: 'BeforeAgent',
    context: ['SessionStart'],
    empty: '{}\n',
    withContext: inHookOutput,
  },
  copilot: {
    prompt: undefined,
    context: [],
    empty: '{}\n',
    withContext: (_event, additionalContext) => ({ additionalContext }),
  },
  cursor: { ...CLAUDE, prompt: 'beforeSubmitPrompt', context: [], empty: '{"continue":true}\n' },
  opencode: { ...CLAUDE, prompt: 'chat.message', context: [] },
};

const Input = z.object({ hook_event_name: z.string().optional(), prompt: z.string().optional() });

/** @throws HoopError HOOP_USAGE for what is not such an input */
export function readHookInput(hook: HookName, input: string): HookInput {
  const format = FORMATS[hook];
  const found = Input.safeParse(parseJson(input)).data;
  const event = found?.hook_event_name ?? '';
  const answer = (context: string | undefined): string =>
    context === undefined
      ? format.empty
      : `${JSON.stringify(format.withContext(event, context))}\n`;
  if (found !== undefined) {
    const isPrompt = format.prompt === undefined || event === format.prompt;
    if (isPrompt && found.prompt !== undefined) {
      return { prompt: found.prompt, answer };
    }
    if (format.prompt === undefined || format.context.includes(event)) {
      return { prompt: undefined, answer };
    }
  }
  const events = [...(format.prompt === undefined ? [] : [format.prompt]), ...format.context];
  throw new HoopError('HOOP_USAGE', `stdin is not hook input of ${hook}`, {
    detail:
      'It must be one JSON object with `hook_event_name`, and with `prompt` for prompt events.',
    hint: `Put the command under ${events.join(', ')} in the agent’s settings.`,
  });
}

/** Outside of a run nothing happens, whatever was handed over. */
export function emptyHookAnswer(hook: HookName): string {
  return FORMATS[hook].empty;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
