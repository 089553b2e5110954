/** What a run tells its child beside where the targets are: the endpoint for prompts, the briefing. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PromptWords } from '../../recording/formats/prompt.ts';
import { type Briefing, briefing } from '../../run/briefing.ts';
import { ContextEndpoint } from '../../run/context-endpoint.ts';
import type { EnvironmentPart } from '../../run/environment.ts';
import type { Run } from '../../run/run.ts';
import { RunPrompts } from '../../run/run-prompts.ts';
import { briefingText } from '../../ui/briefing-text.ts';
import { renderJson } from '../../ui/render-json.ts';
import type { Io } from '../io.ts';

/** In the run's directory. */
export const BRIEFING_NAME = 'briefing.md';

export interface RunContext extends AsyncDisposable {
  /** Where the prompts of the run came from, if there were any. */
  readonly prompted: 'by a hook' | 'at the start' | undefined;
  readonly environment: EnvironmentPart;
}

/** HOOP_CONTEXT_URL, HOOP_CONTEXT_TOKEN, HOOP_BRIEFING. */
export async function openRunContext(
  run: Run,
  prompt: PromptWords | undefined,
): Promise<RunContext> {
  await using stack = new AsyncDisposableStack();
  const prompts = new RunPrompts(run, prompt);
  stack.defer(() => prompts.close());
  const endpoint = stack.use(await ContextEndpoint.open({ run, prompts }));
  const path = join(run.directory, BRIEFING_NAME);
  await writeFile(path, briefingText(briefingOf(run), run.words), { mode: 0o600 });
  const owned = stack.move();
  return {
    get prompted() {
      if (prompts.hasChanged) {
        return 'by a hook';
      }
      return prompts.current === undefined ? undefined : 'at the start';
    },
    environment: { ...endpoint.environment, HOOP_BRIEFING: path },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `hoop run --briefing-only`. */
export function printBriefing(io: Io, run: Run, { json }: { readonly json: boolean }): void {
  const made = briefingOf(run);
  io.stdout.write(json ? `${renderJson({ v: 1, ...made })}\n` : briefingText(made, run.words));
}

function briefingOf(run: Run): Briefing {
  const { reachable, whoami, requestable } = run.facts;
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
