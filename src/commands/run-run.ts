/** The work of `hoop run`: a run, its child, and everything closed and uploaded behind it. */
import { openGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import { packageVersion } from '../package-version.ts';
import { buildEnvironment } from '../run/environment.ts';
import type { RunFence } from '../run/fence/run-fence.ts';
import { removedVariables } from '../run/removed-variables.ts';
import { Run } from '../run/run.ts';
import { plain } from '../ui/printable.ts';
import { requireProgram } from './find-program.ts';
import type { Io } from './io.ts';
import { runChild } from './run-child.ts';
import { checkFenceFlags, type FenceFlags, openRunFence, runFenced } from './run-fenced.ts';

export interface RunRequest extends FenceFlags {
  readonly command: readonly string[];
  readonly target?: readonly string[];
  readonly agent?: string;
  readonly reason?: string;
}

export async function runRun(io: Io, request: RunRequest): Promise<void> {
  const [program] = request.command;
  if (program === undefined) {
    throw new HoopError('HOOP_USAGE', 'no command given', {
      hint: 'Write it behind `--`: `hoop run -- psql`.',
    });
  }
  checkFenceFlags(request);
  requireProgram(program, { cwd: io.cwd, path: io.env['PATH'] });
  const note = (text: string): void => io.note(plain(text));
  await using open = await openGateway(io);
  await using disposed = new AsyncDisposableStack();
  const around: { fence?: RunFence } = {};
  const run = await Run.start({
    open,
    targets: request.target ?? [],
    agent: request.agent,
    reason: request.reason,
    command: request.command,
    version: packageVersion(),
    env: io.env,
    carrier: io.env['HOOP_CARRIER'] === 'websocket' ? 'websocket' : 'auto',
    signal: io.signal,
    fence: request.fence
      ? async (directory) => {
          around.fence = disposed.use(await openRunFence(io, open, { ...request, directory }));
          return around.fence;
        }
      : undefined,
    events: { note },
  });
  try {
    const { fence } = around;
    const removed = removedVariables();
    const { variables } = buildEnvironment(
      io.env,
      { has: (name) => removed.has(name) || (fence?.isDead(name) ?? false) },
      [...run.environment, ...(fence ? [fence.environment] : [])],
    );
    io.setExitCode(
      await (fence
        ? runFenced(io, fence, request.command, variables)
        : runChild(io, request.command, variables)),
    );
  } finally {
    await run.close();
  }
}
