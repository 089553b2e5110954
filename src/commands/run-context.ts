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
import type { AccessReply } from '../tunnel/access-api.ts';
import { ApprovalsClient } from '../tunnel/approvals-client.ts';
import { briefingText } from '../ui/briefing-text.ts';
import { renderJson } from '../ui/render-json.ts';
import type { Io } from './io.ts';

const BRIEFING_NAME = 'briefing.md';

export interface RunContext extends AsyncDisposable {
  readonly environment: EnvironmentPart;
}

/**
 * What one could ask for, from the gateway. It is asked with the login of whoever starts the run,
 * while the run has none yet: so that the child waits for one answer less.
 */
export type Requestable = Promise<AccessReply['requestable']>;

export function askForRequestable(open: OpenGateway, signal: AbortSignal): Requestable {
  const asked = requestableOf(open, signal);
  // Whoever waits for it is told; a run that does not start has another reason.
  asked.catch(() => undefined);
  return asked;
}

/** HOOP_CONTEXT_URL, HOOP_CONTEXT_TOKEN, HOOP_BRIEFING. */
export async function openRunContext(
  run: Run,
  {
    prompt,
    requestable,
  }: { readonly prompt: PromptWords | undefined; readonly requestable: Requestable },
): Promise<RunContext> {
  await using stack = new AsyncDisposableStack();
  const prompts = new RunPrompts(run, prompt);
  stack.defer(() => prompts.close());
  const endpoint = stack.use(await ContextEndpoint.open({ run, prompts }));
  const path = join(run.directory, BRIEFING_NAME);
  await writeFile(path, briefingText(briefingOf(run, await requestable)), { mode: 0o600 });
  const owned = stack.move();
  return {
    environment: { ...endpoint.environment, HOOP_BRIEFING: path },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `hoop run --briefing-only`. */
export async function printBriefing(
  io: Io,
  run: Run,
  { requestable, json }: { readonly requestable: Requestable; readonly json: boolean },
): Promise<void> {
  const made = briefingOf(run, await requestable);
  io.stdout.write(json ? `${renderJson({ v: 1, ...made })}\n` : briefingText(made));
}

function briefingOf(run: Run, requestable: AccessReply['requestable']): Briefing {
  const { reachable, whoami } = run;
  const agent = run.agent ?? whoami.agent;
  return briefing({
    who: agent === undefined ? whoami.name : `${agent} for ${whoami.name}`,
    commit: reachable.commit,
    targets: reachable.targets.filter(({ name }) => run.targets.includes(name)),
    main: run.mainTarget,
    variables: run.variables,
    requestable: requestable.filter(({ target }) => run.targets.includes(target)),
  });
}

/** The login of a run may not see it; its person can. */
async function requestableOf(
  open: OpenGateway,
  signal: AbortSignal,
): Promise<AccessReply['requestable']> {
  try {
    return (await new ApprovalsClient(open.client).access(signal)).requestable;
  } catch (error) {
    if (error instanceof HoopError && error.code === 'HOOP_RUN_REFUSED') {
      return [];
    }
    throw error;
  }
}
