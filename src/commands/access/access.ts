import { Command, InvalidArgumentError } from 'commander';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

export function accessCommand(io: Io): Command {
  return new Command('access')
    .description('request, list or give back temporary access; block somebody immediately')
    .addHelpText('after', OVERVIEW)
    .addCommand(requestCommand(io))
    .addCommand(listCommand(io))
    .addCommand(revokeCommand(io))
    .addCommand(blockCommand(io))
    .addCommand(unblockCommand(io))
    .addCommand(blocksCommand(io));
}

function requestCommand(io: Io): Command {
  return new Command('request')
    .description('request a grant that the policy lists as requestable')
    .argument('<target>', 'a name from `hoop access list`')
    .requiredOption('--for <time>', 'how long: 90s, 30m, 2h, 1d', seconds)
    .requiredOption('--reason <text>', 'reason; approvers see it, and it is recorded')
    .option('--grant <name>', 'which grant, if the target has several')
    .option('--wait', 'wait for the decision; exit status 0: granted, 4: denied or expired')
    .option('--json', 'print JSON: the request, and with --wait a second line with the outcome')
    .addHelpText('after', REQUEST_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./access-request.ts')).requestAccess));
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('list your grants, your requests and what you can request')
    .option('--all', 'include grants that have ended')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./access-list.ts')).listAccess));
}

function revokeCommand(io: Io): Command {
  return new Command('revoke')
    .description('end a temporary grant immediately, or withdraw a request for one')
    .argument('<request>', 'ID of the grant or request')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./access-list.ts')).revokeAccess));
}

function blockCommand(io: Io): Command {
  return new Command('block')
    .description('block a person or an agent immediately (approvers only)')
    .argument('<who>', 'e-mail address, name or subject of a login, or name of an agent')
    .option('--target <name>', 'block only this target; the login stays')
    .option(
      '--for <time>',
      'how long: 90s, 30m, 2h, 1d (default: until somebody lifts it)',
      seconds,
    )
    .requiredOption('--reason <text>', 'reason; whoever is blocked sees it, and it is recorded')
    .option('--json', 'print one JSON document')
    .addHelpText('after', BLOCK_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./access-block.ts')).blockAccess));
}

function unblockCommand(io: Io): Command {
  return new Command('unblock')
    .description('lift a block (approvers only; never one on yourself)')
    .argument('<block>', 'ID of the block, the start of one, or who is blocked')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./access-block.ts')).unblockAccess));
}

function blocksCommand(io: Io): Command {
  return new Command('blocks')
    .description('list who is blocked; without a role, your own blocks')
    .option('--all', 'include blocks that are over')
    .option('--json', 'print one JSON document')
    .action(lazyAction(io, async () => (await import('./access-block.ts')).listBlocks));
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

function seconds(text: string): number {
  const [, count = '', unit = ''] = /^([1-9][0-9]{0,5})([smhd])$/.exec(text) ?? [];
  const factor = UNIT_SECONDS[unit];
  if (factor === undefined) {
    throw new InvalidArgumentError('Give a time such as 90s, 30m, 2h or 1d.');
  }
  return Number(count) * factor;
}

const OVERVIEW = `
A policy can list grants that you have to request. Approvers other than you decide. A grant lasts for
the time that you requested, also applies to open sessions, and ends by itself.

Examples:
  hoop access list
  hoop access request prod-db --for 2h --reason "INC-4711: wrong totals"
  hoop access revoke 7k3mq9xw2c4d`;

const BLOCK_EXAMPLES = `
The sessions, runs and logins that it covers end immediately, and new ones are refused with the
reason. A block survives gateway restarts and needs no policy commit. Write user:NAME or agent:NAME if
a login and an agent have the same name.

Examples:
  hoop access block devin --reason "INC-4711: deletes rows"
  hoop access block bo@acme.example --target prod-db --for 2h --reason "wait"
  hoop access unblock devin`;

const REQUEST_EXAMPLES = `
Prints the ID of the request. Approvers see it in \`hoop approvals\`.

Examples:
  hoop access request prod-db --for 30m --reason INC-4711 --wait &&
    hoop connect prod-db
  id=$(hoop access request prod-db --for 1h --reason INC-47 --grant fix-orders)`;
