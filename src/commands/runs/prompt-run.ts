import { readFileSync } from 'node:fs';
import { HoopError } from '../../errors.ts';
import type { HookName } from '../../run/agents/hook-names.ts';
import { contextStatus, isInsideRun, postPrompt } from '../../run/context-client.ts';
import { isOwnSource, PROMPT_ID, PROMPT_SOURCE } from '../../run/context-messages.ts';
import { promptSource } from '../../ui/prompt-lines.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { emptyHookAnswer, readHookInput } from './hook-formats.ts';
import { readPrompt } from './read-prompt.ts';

export interface PromptCommandFlags {
  readonly hook?: HookName;
  readonly strict?: boolean;
  readonly source?: string;
  readonly parent?: string;
  readonly status?: boolean;
  readonly json?: boolean;
}

/** Agents take it for "do not go on". */
const HOOK_STOPS = 2;
const HOOK_FAILED = 1;
/** Characters of the prompt in force; --json has more. */
const MAX_SHOWN = 4000;

export async function runPrompt(
  io: Io,
  text: string | undefined,
  flags: PromptCommandFlags,
): Promise<void> {
  checkFlags(text, flags);
  if (flags.hook !== undefined) {
    return runHook(io, flags.hook, flags);
  }
  requireRun(io);
  if (flags.status) {
    return printStatus(io, flags);
  }
  const words = text ?? (await readInput(io));
  const { source = 'command', parent } = flags;
  const post = { text: words, source, ...(parent === undefined ? {} : { parent }) };
  const reply = await postPrompt(io.env, post, io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson(reply)}\n`);
  } else {
    const where = reply.sessions === 0 ? 'for new sessions' : 'and recorded';
    io.note(`prompt ${plain(reply.id)} is in force ${where}`);
  }
}

/** The settings of an agent are the same inside and outside of a run: outside nothing happens. */
async function runHook(
  io: Io,
  hook: HookName,
  { strict, parent }: PromptCommandFlags,
): Promise<void> {
  const input = await readInput(io);
  let answer = emptyHookAnswer(hook);
  if (isInsideRun(io.env)) {
    try {
      const asked = readHookInput(hook, input);
      if (asked.prompt === undefined) {
        answer = asked.answer(briefingOf(io));
      } else {
        const post = { text: asked.prompt, hook, ...(parent === undefined ? {} : { parent }) };
        await postPrompt(io.env, post, io.signal);
      }
    } catch (error) {
      io.signal.throwIfAborted();
      const problem = error instanceof HoopError ? error.message : String(error);
      io.stderr.write(`hoop: error: the prompt was not recorded: ${plain(problem)}\n`);
      io.setExitCode(strict ? HOOK_STOPS : HOOK_FAILED);
      return;
    }
  }
  io.stdout.write(answer);
}

/** Of a run of the fence it is where the run's other files are; what cannot be read is not told. */
function briefingOf({ env }: Io): string | undefined {
  try {
    return readFileSync(env['HOOP_BRIEFING'] ?? '', 'utf8');
  } catch {
    return undefined;
  }
}

async function printStatus(io: Io, { json }: PromptCommandFlags): Promise<void> {
  const status = await contextStatus(io.env, io.signal);
  if (json) {
    io.stdout.write(`${renderJson(status)}\n`);
    return;
  }
  const { run, agent, targets, prompt } = status;
  const inForce =
    prompt === undefined
      ? 'none'
      : `${prompt.id} from ${promptSource(prompt.source)}: ${beginning(prompt.text)}`;
  io.stdout.write(
    [
      `run      ${run}${agent === undefined ? '' : ` of ${agent}`}`,
      `targets  ${targets.join(', ')}`,
      `prompt   ${inForce}`,
    ]
      .map((line) => `${plain(line)}\n`)
      .join(''),
  );
}

function beginning(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN).toWellFormed()}…`;
}

function checkFlags(text: string | undefined, flags: PromptCommandFlags): void {
  const { hook, status, strict, source, parent } = flags;
  if (hook !== undefined && (text !== undefined || source !== undefined || status)) {
    throw new HoopError(
      'HOOP_USAGE',
      '--hook reads the prompt from standard input and takes no --source',
    );
  }
  if (strict && hook === undefined) {
    throw new HoopError('HOOP_USAGE', '--strict needs --hook');
  }
  if (source !== undefined && !PROMPT_SOURCE.test(source)) {
    throw new HoopError('HOOP_USAGE', `"${source}" cannot be a source`, {
      hint: 'Use up to 32 lower-case letters, digits and dashes; one colon may separate two such names.',
    });
  }
  if (source !== undefined && isOwnSource(source)) {
    throw new HoopError('HOOP_USAGE', `"${source}" is a source that hoop itself uses`, {
      hint: 'Name the program or the place that the prompt comes from.',
    });
  }
  if (parent !== undefined && !PROMPT_ID.test(parent)) {
    throw new HoopError('HOOP_USAGE', `"${parent}" is not the ID of a prompt`);
  }
}

function requireRun(io: Io): void {
  if (!isInsideRun(io.env)) {
    throw new HoopError('HOOP_USAGE', 'not inside a run', {
      detail: 'HOOP_CONTEXT_URL is not set.',
      hint: 'Start the program with `hoop run -- PROGRAM`; for one session use `hoop connect --prompt`.',
    });
  }
}

function readInput({ stdin }: Io): Promise<string> {
  if (stdin.isTTY) {
    throw new HoopError('HOOP_USAGE', 'no prompt given', {
      hint: 'Give it as an argument, or on standard input.',
    });
  }
  return readPrompt(stdin);
}
