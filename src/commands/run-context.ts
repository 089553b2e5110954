/** What a run tells its child beside where the targets are: the endpoint for prompts, the briefing. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import type { PromptWords } from '../recording/prompt.ts';
import { type Briefing, briefing } from '../run/briefing.ts';
import { ContextEndpoint } from '../run/context-endpoint.ts';
import type { EnvironmentPart } from '../run/environment.ts';
import type { Run } from '../run/run.ts';
import { RunPrompts } from '../run/run-prompts.ts';
import { targetVariables } from '../run/target-variable.ts';
import { ApprovalsClient } from '../tunnel/approvals-client.ts';
import { briefingText } from '../ui/briefing-text.ts';
import { renderJson } from '../ui/render-json.ts';
import type { Io } from './io.ts';

const BRIEFING_NAME = 'briefing.md';

export interface RunContext extends AsyncDisposable {
  readonly environment: EnvironmentPart;
}

/** HOOP_CONTEXT_URL, HOOP_CONTEXT_TOKEN, HOOP_BRIEFING. */
export async function openRunContext(
  open: OpenGateway,
  run: Run,
  { prompt, signal }: { readonly prompt: PromptWords | undefined; readonly signal: AbortSignal },
): Promise<RunContext> {
  await using stack = new AsyncDisposableStack();
  const prompts = new RunPrompts(run, prompt);
  stack.defer(() => prompts.close());
  const endpoint = stack.use(await ContextEndpoint.open({ run, prompts }));
  const path = join(run.directory, BRIEFING_NAME);
  await writeFile(path, briefingText(await briefingOf(open, run, signal)), { mode: 0o600 });
  const owned = stack.move();
  return {
    environment: { ...endpoint.environment, HOOP_BRIEFING: path },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `hoop run --briefing-only`. */
export async function printBriefing(
  io: Io,
  open: OpenGateway,
  run: Run,
  json: boolean,
): Promise<void> {
  const made = await briefingOf(open, run, io.signal);
  io.stdout.write(json ? `${renderJson({ v: 1, ...made })}\n` : briefingText(made));
}

async function briefingOf(open: OpenGateway, run: Run, signal: AbortSignal): Promise<Briefing> {
  const [reply, whoami, requestable] = await Promise.all([
    // With the login of the run: what it may do is less than what its person may.
    run.open.client.targets(signal),
    run.open.client.whoami(signal),
    requestableOf(open, signal),
  ]);
  const agent = run.agent ?? whoami.agent;
  return briefing({
    who: agent === undefined ? whoami.name : `${agent} for ${whoami.name}`,
    commit: reply.commit,
    targets: reply.targets.filter(({ name }) => run.targets.includes(name)),
    main: run.mainTarget,
    variables: targetVariables(run.targets),
    requestable: requestable.filter(({ target }) => run.targets.includes(target)),
  });
}

/** The login of a run may not see it; its person can. */
async function requestableOf(open: OpenGateway, signal: AbortSignal) {
  try {
    return (await new ApprovalsClient(open.client).access(signal)).requestable;
  } catch (error) {
    if (error instanceof HoopError && error.code === 'HOOP_RUN_REFUSED') {
      return [];
    }
    throw error;
  }
}
