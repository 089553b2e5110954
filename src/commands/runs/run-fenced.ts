/** The child of a run inside its fence: terminal, signals, exit status, as without one. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { OpenGateway } from '../../auth/open-gateway.ts';
import type { Home } from '../../home.ts';
import type { RunEnvironment } from '../../run/environment.ts';
import type { FencedCommand } from '../../run/fence/fence.ts';
import type { FenceView } from '../../run/fence/fence-view.ts';
import { isAgentKey } from '../../run/fence/let-in-variables.ts';
import { RunFence } from '../../run/fence/run-fence.ts';
import { ShadowState } from '../../run/fence/shadow-state.ts';
import { watchOf } from '../../run/later/later-changes.ts';
import { RunChanges } from '../../run/later/owed-changes.ts';
import type { RunLogin } from '../../run/run-login.ts';
import { Job, jobShell } from '../../run/terminal/job-shell.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import type { ChildTerminal } from '../child/child-terminal.ts';
import type { Io } from '../io.ts';
import type { FenceFlags } from './fence-flags.ts';
import type { RunAgent } from './run-agent.ts';
import { hasItAlready, lookForStop } from './run-child.ts';

/** @throws HoopError HOOP_FENCE, HOOP_USAGE */
export async function openRunFence(
  io: Io,
  open: OpenGateway,
  request: FenceFlags &
    Pick<RunLogin, 'directory' | 'state'> & {
      readonly terminal: ChildTerminal | undefined;
      readonly agent: RunAgent | undefined;
    },
): Promise<RunFence> {
  const configured = open.config.fence;
  const { agent } = request;
  const write = [...(configured?.write ?? []), ...(request.fenceWrite ?? [])];
  const home = io.env['HOME'] || homedir();
  const opened = write.map((path) => resolve(io.cwd, path.replace(/^~(?=\/|$)/, home)));
  const shadow =
    agent &&
    ShadowState.open({
      ...agent.stateFor(request),
      env: io.env,
      home,
      except: [io.cwd, ...opened],
    });
  const fence = await RunFence.open({
    env: io.env,
    cwd: io.cwd,
    home: open.home,
    runDirectory: request.directory,
    runState: request.state,
    settings: {
      allow: [
        ...(configured?.allow ?? []),
        ...(request.fenceAllow ?? []),
        ...(agent?.needs.hosts ?? []),
      ],
      hide: [...(configured?.hide ?? []), ...(request.fenceHide ?? [])],
      show: [...(configured?.show ?? []), ...(request.fenceShow ?? [])],
      write,
    },
    keys: agent?.needs.keys ?? [],
    shadow,
    signal: io.signal,
    terminal: request.terminal?.device,
  });
  const problem = problemOfCwd(fence.view);
  if (problem !== undefined) {
    io.note(plain(`${problem}: start the run in a project of yours`));
  }
  const { refusedGit } = fence.view;
  if (refusedGit !== undefined) {
    io.note(
      plain(
        `a .git file here names the repository ${refusedGit}, which does not point back to it, or which ` +
          `a fenced command may have put there: it is not writable inside. If it is yours: --fence-write ${refusedGit}`,
      ),
    );
  }
  return fence;
}

/** Before the command starts: what stands in the files that run by themselves later. */
export function beginChanges(
  home: Pick<Home, 'state'>,
  run: string,
  { view, shadow }: RunFence,
): RunChanges {
  return RunChanges.begin(home, run, view.cwd, watchOf(view, shadow?.kept));
}

/** An agent without its key fails in words of its own, which do not lead here. */
export function noteAgentKeys(io: Io, { removed }: Pick<RunEnvironment, 'removed'>): void {
  const keys = [...removed].flatMap(([name, reason]) =>
    reason === 'not let into the fence' && isAgentKey(name) ? [`--env ${name}`] : [],
  );
  if (keys.length > 0) {
    io.note(plain(`agent keys stay outside the fence; to let them in: ${keys.join(' ')}`));
  }
}

function problemOfCwd({ cwd, cwdIs }: FenceView): string | undefined {
  switch (cwdIs) {
    case 'writable':
      return undefined;
    case 'private':
      return `inside the fence ${cwd} is private to the run, and its files disappear with it`;
    default:
      return `${cwd} is not writable inside the fence`;
  }
}

/** @returns the exit status, 128 + signal number when a signal ended it. */
export async function runFenced(
  io: Io,
  fence: RunFence,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  { terminal, isJson }: { readonly terminal: ChildTerminal | undefined; readonly isJson: boolean },
): Promise<number> {
  try {
    return await (terminal === undefined
      ? runInTerminal(io, fence, command, env)
      : terminal.run(io, () => startJob(fence, command, env, terminal)));
  } finally {
    const told = (event: string, facts: object, text: string): void => {
      if (isJson) {
        io.stderr.write(`${renderJson({ v: 1, event, ...facts })}\n`);
      } else {
        io.note(plain(text));
      }
    };
    const lost = fence.shadow?.finish() ?? [];
    if (lost.length > 0) {
      told('state-not-kept', { files: lost }, `not kept of the agent's state: ${lost.join('; ')}`);
    }
    const hosts = [...fence.refused].map(([host, times]) => `${times} × ${host}`);
    if (hosts.length > 0) {
      const text = `the fence refused connections to: ${hosts.join(', ')}`;
      told('hosts-refused', { hosts: Object.fromEntries(fence.refused) }, text);
    }
  }
}

async function startJob(
  fence: RunFence,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  { settings }: ChildTerminal,
): Promise<Job> {
  const shell = jobShell(command, { terminal: undefined, settings, hasErrors: false });
  const { pid, exited: ended, orders, reports, kill } = await fence.become(shell, env);
  if (orders === null || reports === undefined) {
    throw new TypeError('the fence was made without a terminal');
  }
  return new Job({ pid, orders, reports, ended, kill: () => kill('SIGKILL') });
}

/** In the terminal that hoop has. */
async function runInTerminal(
  io: Io,
  fence: RunFence,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const started = Promise.withResolvers<FencedCommand>();
  // One that comes before the command is there is kept for it.
  const release = io.onSignal((signal) => {
    if (!hasItAlready(io, signal)) {
      void started.promise.then(({ kill }) => kill(signal));
    }
  });
  let looking: NodeJS.Timeout | undefined;
  try {
    const fenced = await fence.become(command, env);
    started.resolve(fenced);
    looking = lookForStop(io, fenced);
    return await fenced.exited;
  } finally {
    clearInterval(looking);
    release();
  }
}
