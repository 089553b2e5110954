import { Command, InvalidArgumentError } from 'commander';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';

export function approvalsCommand(io: Io): Command {
  return new Command('approvals')
    .description('see what waits for a decision, and approve or deny it')
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
    .description('list what waits: what you asked for, and what you may decide about')
    .option('--all', 'also what was decided, withdrawn or came to nothing')
    .option('--json', 'print one JSON document')
    .addHelpText('after', LIST_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./approvals-list.ts')).listApprovals));
}

function watchCommand(io: Io): Command {
  return new Command('watch')
    .description('follow what waits and decide about it; on a terminal with keys')
    .option('--no-tui', 'plain text, also on a terminal')
    .option('--json', 'print NDJSON, a line for each request and each change of one')
    .addHelpText('after', WATCH_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./approvals-watch.ts')).watchApprovals));
}

function showCommand(io: Io): Command {
  return new Command('show')
    .description('show one request: statement, parameters, who asks, why, and who has decided')
    .argument('<request>', ID_HELP)
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./approvals-list.ts')).showApproval));
}

function approveCommand(io: Io): Command {
  return new Command('approve')
    .description('approve a statement or a request for access; not your own')
    .argument('<request>', ID_HELP)
    .option('--reason <text>', 'why; whoever asked sees it, and it is recorded')
    .option('-y, --yes', 'do not ask again on a terminal')
    .option('--json', 'print the request as it is now, as one JSON document')
    .addHelpText('after', DECIDE_EXAMPLES)
    .action(decides(io, 'approve'));
}

function denyCommand(io: Io): Command {
  return new Command('deny')
    .description('deny a statement or a request for access')
    .argument('<request>', ID_HELP)
    .requiredOption('--reason <text>', 'why; whoever asked sees it, and it is recorded')
    .option('--json', 'print the request as it is now, as one JSON document')
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
    .description('wait until a request is decided, also within a run')
    .argument('<request>', ID_HELP)
    .option('--timeout <seconds>', 'wait no longer than this', parseSeconds)
    .option('--json', 'print the request as it is then, as one JSON document')
    .addHelpText('after', WAIT_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./approvals-wait.ts')).waitForApproval));
}

function withdrawCommand(io: Io): Command {
  return new Command('withdraw')
    .description('take back what you, or a run of yours, have asked for')
    .argument('<request>', ID_HELP)
    .action(lazyAction(io, async () => (await import('./approvals-wait.ts')).withdrawApproval));
}

const MAX_TIMEOUT_SECONDS = 7 * 86_400;

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,6}$/.test(text) || seconds > MAX_TIMEOUT_SECONDS) {
    throw new InvalidArgumentError('Seconds are a whole number up to 604800.');
  }
  return seconds;
}

const ID_HELP = 'id of the request, or the start of one that waits (at least 4 characters)';

const OVERVIEW = `
A policy can demand that people approve a statement before it runs, or a grant before it holds.
Whoever asked cannot approve it. On a terminal, \`hoop approvals\` alone is \`hoop approvals watch\`.

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
The lines of --json are {"event":"approval","v":1,"approval":{…}}: first what waits, then each
request again whenever something about it changes. For a bot that tells a channel:

  hoop approvals watch --json |
    jq --unbuffered -r '.approval | select(.state == "waiting" and .mayDecide)
      | (.statement.text // .command.text // .access.policy) as $what
      | "\\(.requester.name): \\($what)"' |
    while IFS= read -r line; do notify "$line"; done`;

const DECIDE_EXAMPLES = `
What is approved is what was shown: if it has changed meanwhile, nothing happens. Exit status 0:
your decision counts (others may have to follow); 4: you may not decide about this one.`;

const WAIT_EXAMPLES = `
Exit status 0: it is approved, or was used already; 1: it is still waiting when --timeout is over;
4: it was denied, was withdrawn, has expired, or is void. Once it is approved, send exactly the same
statement again:

  hoop approvals wait 7k3mq9xw2c4d --timeout 600 && psql -f delete.sql`;
