import { Command, InvalidArgumentError } from 'commander';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

export function approvalsCommand(io: Io): Command {
  return new Command('approvals')
    .description('see requests that wait for a decision, and approve or deny them')
    .addHelpText('after', OVERVIEW)
    .addCommand(listCommand(io))
    .addCommand(watchCommand(io))
    .addCommand(showCommand(io))
    .addCommand(approveCommand(io))
    .addCommand(denyCommand(io))
    .addCommand(waitCommand(io))
    .addCommand(withdrawCommand(io))
    .action(lazyAction(io, async () => (await import('./approvals-watch.ts')).defaultApprovals));
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('list waiting requests: your own, and those that you may decide on')
    .option('--all', 'include requests that were decided, withdrawn or came to nothing')
    .option('--json', 'print one JSON document')
    .addHelpText('after', LIST_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./approvals-list.ts')).listApprovals));
}

function watchCommand(io: Io): Command {
  return new Command('watch')
    .description('follow waiting requests and decide on them; on a terminal, with keys')
    .option('--no-tui', 'print plain text, even on a terminal')
    .option('--json', 'print NDJSON, a line for each request and each change to it')
    .addHelpText('after', WATCH_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./approvals-watch.ts')).watchApprovals));
}

function showCommand(io: Io): Command {
  return new Command('show')
    .description('show a request: statement, parameters, who asks, why, and who has decided')
    .argument('<request>', ID_HELP)
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./approvals-list.ts')).showApproval));
}

function approveCommand(io: Io): Command {
  return new Command('approve')
    .description('approve a statement or a request for access (never your own)')
    .argument('<request>', ID_HELP)
    .option('--reason <text>', 'reason; the requester sees it, and it is recorded')
    .option('-y, --yes', 'do not ask for confirmation on a terminal')
    .option('--json', 'print the updated request as one JSON document')
    .addHelpText('after', DECIDE_EXAMPLES)
    .action(decides(io, 'approve'));
}

function denyCommand(io: Io): Command {
  return new Command('deny')
    .description('deny a statement or a request for access')
    .argument('<request>', ID_HELP)
    .requiredOption('--reason <text>', 'reason; the requester sees it, and it is recorded')
    .option('--json', 'print the updated request as one JSON document')
    .addHelpText('after', DECIDE_EXAMPLES)
    .action(decides(io, 'deny'));
}

function decides(io: Io, decision: 'approve' | 'deny') {
  return async (id: string, flags: import('./approvals-decide.ts').DecideFlags): Promise<void> => {
    const { decideApproval } = await import('./approvals-decide.ts');
    await decideApproval(io, id, decision, flags);
  };
}

function waitCommand(io: Io): Command {
  return new Command('wait')
    .description('wait until a request is decided; works within a run')
    .argument('<request>', ID_HELP)
    .option('--timeout <seconds>', 'wait no longer than this', parseSeconds)
    .option('--json', 'print the resulting request as one JSON document')
    .addHelpText('after', WAIT_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./approvals-wait.ts')).waitForApproval));
}

function withdrawCommand(io: Io): Command {
  return new Command('withdraw')
    .description('withdraw a request that you or one of your runs made')
    .argument('<request>', ID_HELP)
    .action(lazyAction(io, async () => (await import('./approvals-wait.ts')).withdrawApproval));
}

const MAX_TIMEOUT_SECONDS = 7 * 86_400;

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,6}$/.test(text) || seconds > MAX_TIMEOUT_SECONDS) {
    throw new InvalidArgumentError('Give a whole number of seconds, up to 604800.');
  }
  return seconds;
}

const ID_HELP = 'ID of the request, or the start of a waiting one (at least 4 characters)';

const OVERVIEW = `
A policy can require that people approve a statement before it runs, or a grant before it takes
effect. Requesters cannot approve their own requests. On a terminal, \`hoop approvals\` alone is \`hoop approvals watch\`.

Examples:
  hoop approvals
  hoop approvals show 7k3mq9xw2c4d
  hoop approvals approve 7k3mq9xw2c4d
  hoop approvals deny 7k3mq9xw2c4d --reason "use the archive job"`;

const LIST_EXAMPLES = `
Examples:
  hoop approvals list
  hoop approvals list --json | jq -r '.approvals[] | select(.mayDecide) | .id'`;

const WATCH_EXAMPLES = `
With --json, each line is {"event":"approval","v":1,"approval":{…}}: first the waiting requests, then
each request again whenever something about it changes. For a bot that notifies a channel:

  hoop approvals watch --json |
    jq --unbuffered -r '.approval | select(.state == "waiting" and .mayDecide)
      | (.statement.text // .command.text // .access.policy) as $what
      | "\\(.requester.name): \\($what)"' |
    while IFS= read -r line; do notify "$line"; done`;

const DECIDE_EXAMPLES = `
You decide on exactly what was shown: if it has changed meanwhile, nothing happens. Exit status 0:
your decision counts (others may still be needed); 4: you may not decide on this one.`;

const WAIT_EXAMPLES = `
Exit status 0: it is approved, or was used already; 1: it is still waiting when --timeout is over;
4: it was denied, was withdrawn, has expired, or is void. Once it is approved, send exactly the same
statement again:

  hoop approvals wait 7k3mq9xw2c4d --timeout 600 && psql -f delete.sql`;
