import { Command } from 'commander';
import type { Io } from './io.ts';

interface TargetsFlags {
  readonly json?: boolean;
}

export function targetsCommand(io: Io): Command {
  return new Command('targets')
    .description(
      'list the targets that you can reach or request, what you may do there, and what is masked for you',
    )
    .option('--json', 'print it as JSON')
    .action((flags: TargetsFlags) => runTargets(io, flags));
}

async function runTargets(io: Io, flags: TargetsFlags): Promise<void> {
  const { openGateway } = await import('../auth/open-gateway.ts');
  const { renderTargets } = await import('../ui/render-targets.ts');
  const { renderJson } = await import('../ui/render-json.ts');
  const { terminalWidth } = await import('../ui/text/terminal-width.ts');
  const { ApprovalsClient } = await import('../client/approvals-client.ts');
  const { groupsProblem } = await import('../auth/groups-problem.ts');
  await using open = await openGateway(io);
  const [reply, { requestable }] = await Promise.all([
    open.client.targets(io.signal),
    new ApprovalsClient(open.client).access(io.signal),
  ]);
  const inRun = open.home.run !== undefined;
  const problem =
    reply.targets.length === 0 ? groupsProblem(await open.client.whoami(io.signal)) : undefined;
  io.stdout.write(
    flags.json === true
      ? `${renderJson({ ...reply, requestable })}\n`
      : renderTargets(
          { ...reply, requestable, inRun, problem },
          io.color.stdout,
          terminalWidth(io.stdout, io.env),
        ),
  );
}
