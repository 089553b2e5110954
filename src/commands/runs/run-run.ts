/** The work of `hoop run`: a run, its child, and everything closed and uploaded behind it. */
import { join } from 'node:path';
import { openGateway } from '../../auth/open-gateway.ts';
import { CONNECTORS } from '../../connectors/registry.ts';
import { HoopError } from '../../errors.ts';
import { type Home, locateHome } from '../../home.ts';
import type { EvidenceLine } from '../../recording/verify/evidence-lines.ts';
import { findProfile } from '../../run/agents/find-profile.ts';
import { buildEnvironment } from '../../run/environment.ts';
import { entriesOf } from '../../run/fence/entries-of.ts';
import type { RunFence } from '../../run/fence/run-fence.ts';
import type { RunChanges } from '../../run/later/owed-changes.ts';
import { offerOwnCommand } from '../../run/own-command.ts';
import { RunRemains } from '../../run/remains.ts';
import { RemovedVariables } from '../../run/removed-variables.ts';
import { Run } from '../../run/run.ts';
import type { ChildStdio } from '../../run/terminal/pseudo-terminal.ts';
import { endOfRunWords } from '../../run/watch-login.ts';
import { newPrompt } from '../../tunnel/new-prompt.ts';
import { renderJson } from '../../ui/render-json.ts';
import { renderRunEnvironment, renderRunEnvironmentJson } from '../../ui/render-run-environment.ts';
import { plain } from '../../ui/text/printable.ts';
import { ChildTerminal } from '../child/child-terminal.ts';
import { endableChild } from '../child/endable-child.ts';
import { requireProgram } from '../child/find-program.ts';
import type { Io } from '../io.ts';
import { QuietScreen } from '../quiet-screen.ts';
import { sessionOptions } from '../session-options.ts';
import { openSummary, type SummaryFlags } from '../summary-file.ts';
import { checkFenceFlags, type FenceFlags } from './fence-flags.ts';
import { type PromptFlags, promptInForce } from './prompt-flags.ts';
import type { ReviewFlags, ReviewOptions } from './review-changes.ts';
import { RunAgent } from './run-agent.ts';
import { runChild } from './run-child.ts';
import { openRunContext, printBriefing } from './run-context.ts';

export interface RunFlags extends FenceFlags, ReviewFlags, PromptFlags, SummaryFlags {
  readonly target?: readonly string[];
  readonly agent?: string;
  readonly reason?: string;
  readonly keepEnv?: readonly string[];
  /** The same by a shorter name. */
  readonly env?: readonly string[];
  readonly dropEnv?: readonly string[];
  /** A name or a file; false: --no-profile. */
  readonly profile?: string | false;
  readonly printEnv?: boolean;
  readonly briefingOnly?: boolean;
  readonly json?: boolean;
  /** commander's form of --no-terminal. */
  readonly terminal?: boolean;
}

export interface RunRequest extends RunFlags {
  readonly command: readonly string[];
}

export async function runRun(plainIo: Io, request: RunRequest): Promise<void> {
  requireCommand(plainIo, request);
  checkFenceFlags(request);
  requireOutside(plainIo);
  const terminal = openTerminal(plainIo, request);
  // The other two print one document.
  const isJson = request.json === true && !request.printEnv && !request.briefingOnly;
  const screen = new QuietScreen(
    isJson ? withJsonNotes(plainIo) : plainIo,
    terminal && ((text) => terminal.interject(text)),
  );
  const { io } = screen;
  const given = await promptInForce(io, request);
  const note = (text: string): void => io.note(plain(text));
  const summary = request.printEnv ? undefined : openSummary(io, request);
  await using open = await openGateway(io);
  await using disposed = new AsyncDisposableStack();
  const around: { fence?: RunFence } = {};
  const { command, profile: named } = request;
  // Of the person, also where this is a run inside a run: that one's directory goes with it.
  const home = open.home.run === undefined ? open.home : locateHome(withoutRun(io.env));
  await reviewEarlier(io, home, request);
  const profile = await findProfile({ profile: named, command, cwd: io.cwd, home: open.home });
  const isFenced = request.fence === true;
  const agent = profile && new RunAgent(io, { profile, command, isFenced });
  const typed = agent?.prompt;
  const prompt =
    given ?? (typed === undefined ? undefined : newPrompt({ source: 'flag', text: typed }));
  const run = await Run.start({
    open,
    connectors: CONNECTORS,
    targets: request.target ?? [],
    agent: request.agent,
    reason: request.reason,
    command: request.command,
    ...sessionOptions(io),
    fence: request.fence
      ? async ({ directory, state }) => {
          const { openRunFence } = await import('./run-fenced.ts');
          const where = { ...request, directory, state, terminal, agent };
          around.fence = disposed.use(await openRunFence(io, open, where));
          return around.fence;
        }
      : undefined,
    events: {
      note,
      onOpened: (session) => summary?.opened(session),
      onEvidence: (target, line) => {
        summary?.evidence(target, line);
        tell(screen, target, line);
      },
      onUploaded: (receipt) => summary?.uploaded(receipt),
      onNotUploaded: (session, error) => summary?.notUploaded(session, error),
    },
  });
  let status: number | undefined;
  let remains: RunRemains | undefined;
  let changes: RunChanges | undefined;
  try {
    terminal?.recordIn(run, note);
    if (request.briefingOnly) {
      printBriefing(io, run, { json: request.json === true });
      return;
    }
    const context = disposed.use(await openRunContext(run, prompt));
    const made = agent?.setUp(run);
    const { keepEnv: kept = [], env: letIn = [], dropEnv: drop = [] } = request;
    const keep = [...kept, ...letIn];
    const { keepEnv = [], dropEnv = [] } = open.config;
    const { fence } = around;
    const rules = new RemovedVariables({ keep, drop }, { keep: keepEnv, drop: dropEnv });
    const parts = [
      ...run.environment,
      context.environment,
      ...(made ? [made.environment] : []),
      ...(fence ? [fence.environment] : []),
    ];
    const path = parts.findLast(({ PATH }) => PATH !== undefined)?.['PATH'] ?? io.env['PATH'] ?? '';
    const environment = buildEnvironment(
      io.env,
      {
        reason: (name, value) =>
          fence?.reasonAgainst(name, rules, value) ?? rules.reason(name, value),
      },
      [...parts, offerOwnCommand(run.directory, io.self, path)],
    );
    if (request.printEnv) {
      const render = request.json ? renderRunEnvironmentJson : renderRunEnvironment;
      io.stdout.write(render(environment));
      return;
    }
    showRun(io, run, profile?.name);
    if (fence) {
      const { beginChanges, noteAgentKeys } = await import('./run-fenced.ts');
      noteAgentKeys(io, environment);
      changes = beginChanges(home, run.id, fence);
    }
    // Behind a fence the kernel does it.
    const cover = terminal && ((stdio: readonly ChildStdio[]) => terminal.device.cover(stdio));
    remains = fence ? undefined : RunRemains.open(run.id, { cover });
    screen.hold();
    const child = endableChild(io);
    const words = made?.command ?? command;
    void run.over.then((error) => {
      io.note(plain(endOfRunWords(error)));
      child.end();
    });
    status = await (fence
      ? (await import('./run-fenced.ts')).runFenced(child.io, fence, words, environment.variables, {
          terminal,
          isJson,
        })
      : runChild(child.io, words, environment.variables, terminal, (start) =>
          remains === undefined ? start() : remains.within(start),
        ));
    io.setExitCode(status);
    if (run.hasOpened && context.prompted !== 'by a hook') {
      notePrompts(io, {
        agent,
        isAgent: agent !== undefined || run.agent !== undefined,
        hasReason: request.reason !== undefined,
        hasOne: context.prompted !== undefined,
        isAll: given === undefined,
      });
    }
  } finally {
    try {
      screen.release();
      const left = (await remains?.end()) ?? 0;
      if (left > 0) {
        io.note(`ended programs that the run had left in the background: ${left}`);
      }
      await terminal?.close();
      await run.close();
    } finally {
      try {
        await reviewRun(io, changes, around.fence, { flags: request, home, run: run.id });
      } finally {
        await summary?.write(open, status);
      }
    }
  }
}

/**
 * What earlier runs here have left to decide: `hoop run` without a fence would start it.
 * @throws HoopError HOOP_CHANGES_OWED
 */
async function reviewEarlier(io: Io, home: Home, request: RunRequest): Promise<void> {
  if (request.printEnv || request.briefingOnly) return;
  // Most of the time there is nothing, and what would read it is not loaded.
  if (entriesOf(join(home.state, 'changes')).length === 0) return;
  const review = await import('./review-changes.ts');
  const open = await review.reviewEarlier(io, { flags: request, home, run: 'earlier' });
  if (!request.fence) review.requireDecided(open);
}

async function reviewRun(
  io: Io,
  changes: RunChanges | undefined,
  fence: RunFence | undefined,
  options: ReviewOptions,
): Promise<void> {
  if (changes === undefined) return;
  // Nothing of it may write while a person decides.
  await fence?.[Symbol.asyncDispose]();
  await (await import('./review-changes.ts')).reviewRun(io, changes, options);
}

function withoutRun({ HOOP_RUN_DIR: _, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

function openTerminal(io: Io, request: RunRequest): ChildTerminal | undefined {
  const { terminal, command, printEnv, briefingOnly } = request;
  if (terminal === false || command.length === 0 || printEnv || briefingOnly) {
    return undefined;
  }
  const opened = ChildTerminal.open(io, request);
  if (opened !== undefined && 'because' in opened) {
    io.note(plain(`the terminal is not recorded: ${opened.because}`));
    return undefined;
  }
  return opened;
}

/** There is no way to the gateway, which would look like a failure of the network. */
function requireOutside({ env }: Io): void {
  if (env['HOOP_FENCE'] && env['HOOP_RUN_DIR']) {
    throw new HoopError('HOOP_FENCE', 'a fenced run cannot start another run', {
      detail: 'This program is inside a `hoop run --fence` and cannot reach the gateway.',
      hint: 'Use the connections in the environment, or start the run outside the fence.',
    });
  }
}

function requireCommand(io: Io, { command, printEnv, briefingOnly }: RunRequest): void {
  const [program] = command;
  if (program !== undefined) {
    requireProgram(program, { cwd: io.cwd, path: io.env['PATH'] });
  } else if (!printEnv && !briefingOnly) {
    throw new HoopError('HOOP_USAGE', 'no command given', {
      hint: 'Write it after `--`: `hoop run -- psql`.',
    });
  }
}

/** One JSON line each, between what the command writes there. */
function withJsonNotes(io: Io): Io {
  const note = (message: string): void => {
    if (!io.quiet) {
      io.stderr.write(`${renderJson({ v: 1, event: 'note', message })}\n`);
    }
  };
  return Object.assign(Object.create(io) as Io, { note });
}

function tell(screen: QuietScreen, target: string, line: EvidenceLine): void {
  if (line.type === 'held') {
    screen.waits(`${target}: a statement waits for approval ${line.request} by ${line.approvers}`);
  } else if (line.type === 'decided') {
    screen.decided();
  }
}

interface Prompted {
  readonly agent: RunAgent | undefined;
  /** The policy knows the program as an agent, or hoop does. */
  readonly isAgent: boolean;
  readonly hasReason: boolean;
  readonly hasOne: boolean;
  /** It is all that the agent was asked, from its own command line. */
  readonly isAll: boolean;
}

/** Says that no hook has given a prompt: an agent has one, and a person or a job may add one. */
function notePrompts(io: Io, { agent, isAgent, hasReason, hasOne, isAll }: Prompted): void {
  const why = agent?.untied === undefined ? '' : ` (${agent.untied})`;
  if (!hasOne && !(hasReason && !isAgent)) {
    io.note(
      plain(
        isAgent
          ? `no prompt was recorded in this run${why}: readers will see what was sent, but not why`
          : 'to record why, add --reason or --prompt',
      ),
    );
  } else if (hasOne && !isAll && why !== '') {
    io.note(plain(`everything that was sent is recorded under the prompt of --prompt${why}`));
  }
}

function showRun(io: Io, { id, agent, targets, notes }: Run, profile: string | undefined): void {
  const as = agent === undefined ? '' : ` as agent ${agent}`;
  const by = profile === undefined ? '' : `, set up for ${profile}`;
  io.note(plain(`run ${id}${as}${by}: ${targets.join(', ')} (opened on first use)`));
  for (const note of notes) {
    io.note(plain(note));
  }
}
