import { Command, InvalidArgumentError } from 'commander';
import type { Io } from '../io.ts';
import { lazyAction } from '../lazy-action.ts';

const DEFAULT_LIMIT = '50';

export function sessionsCommand(io: Io): Command {
  return new Command('sessions')
    .description('list, search, end, replay, explain, verify and download sessions')
    .addHelpText('after', OVERVIEW)
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(searchCommand(io))
    .addCommand(endCommand(io))
    .addCommand(replayCommand(io))
    .addCommand(whyCommand(io))
    .addCommand(verifyCommand(io))
    .addCommand(downloadCommand(io))
    .addCommand(trustCommand(io));
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('list sessions, newest first: your own, or everyone’s if you are an auditor')
    .option('--mine', 'list only your own, even if you may see others')
    .option('--live', 'list only live sessions; for approvers, everyone’s')
    .option('--target <name>', 'only sessions on this target')
    .option('--limit <count>', 'maximum number of results', positiveInteger, Number(DEFAULT_LIMIT))
    .option('--json', 'print one JSON document')
    .addHelpText('after', LIST_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-list.ts')).listSessions));
}

function showCommand(io: Io): Command {
  return new Command('show')
    .description('show a session: who, where, why, when, and its totals')
    .argument('<id>', ID_HELP)
    .option('--json', 'print one JSON document')
    .addHelpText('after', SHOW_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-list.ts')).showSession));
}

function searchCommand(io: Io): Command {
  return new Command('search')
    .description('search all sessions whose recordings you may read, newest first')
    .argument(
      '[text]',
      'text to find in statements, commands and bound values (default: search the index only)',
    )
    .option(
      '--user <name>',
      'only this person, workload or agent, by name or the part before the @; also what was done for them',
    )
    .option('--target <name>', 'only on this target')
    .option('--agent <name>', 'only what this agent of the policy did')
    .option(
      '--program <name>',
      'only what this program did under `hoop run`, as its client named it',
    )
    .option(
      '--touches <name>',
      'only what touched this relation, column, program, path or host:port',
    )
    .option('--class <detector>', 'only what returned values of this class: card, email, …')
    .option('--seen-clear', 'only what returned that column, or that class, in clear')
    .option('--since <time>', 'not before: `2h` for 2 hours ago, a day, or a time')
    .option('--until <time>', 'not after')
    .option('--denied', 'only what was refused')
    .option('--limit <count>', 'maximum number of results', positiveInteger, Number(DEFAULT_LIMIT))
    .option('--cursor <next>', 'continue an earlier search: its `next`')
    .option('--json', 'print one JSON document')
    .addHelpText('after', SEARCH_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-search.ts')).searchSessions));
}

function endCommand(io: Io): Command {
  return new Command('end')
    .alias('kill')
    .description('end a live session: your own, or anybody’s if you are an approver')
    .argument('<id>', 'session ID, the start of one, or `last` for your newest')
    .option('--reason <text>', 'reason; shown to its user, and signed by both sides')
    .option('--login', 'also end the login that opened it, with all its sessions and runs')
    .option('--json', 'print one JSON document')
    .addHelpText('after', END_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-end.ts')).endSession));
}

function trustCommand(io: Io): Command {
  return new Command('trust')
    .description('print the root keys that this machine has pinned, for `verify --trust` elsewhere')
    .addHelpText('after', TRUST_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-trust.ts')).exportTrust));
}

function replayCommand(io: Io): Command {
  return new Command('replay')
    .description('show what happened in a session: statements, decisions, results, times')
    .argument('<id|file>', `${ID_HELP}, or a file from \`hoop sessions download ID\``)
    .option('--speed <factor>', 'playback speed: 1 is real time, 10 is ten times as fast', speed)
    .option(
      '--max-idle <seconds>',
      'shorten longer pauses of a terminal to this',
      idle,
      DEFAULT_IDLE,
    )
    .option(
      '--channel <number>',
      'print all of one shell or command: its number in the replay',
      actNumber,
    )
    .option('--input', 'with --channel: include typed input, passwords too')
    .option('--asciicast', 'print a shell or command as asciicast v2, for other players')
    .option('--no-tui', 'print plain text, even on a terminal')
    .option('--json', 'print NDJSON, one entry per line')
    .option('--terminal', 'play the terminal of the program started by `hoop run`')
    .option('--raw', 'print the bytes that the client received, unfiltered; not on a terminal')
    .option('--trust <file>', 'keys to verify with: a file from `hoop sessions trust`')
    .addHelpText('after', REPLAY_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-replay.ts')).replaySession));
}

function whyCommand(io: Io): Command {
  return new Command('why')
    .description('show why a statement was sent: the prompt, the decision and the outcome')
    .argument('<id|file>', `${ID_HELP}, or a file from \`hoop sessions download ID\``)
    .argument('[statement]', 'its number in the replay, or CONNECTION.STATEMENT; default: a list')
    .option('--trust <file>', 'keys to verify with: a file from `hoop sessions trust`')
    .option('--json', 'print one JSON document')
    .addHelpText('after', WHY_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-why.ts')).whySession));
}

function verifyCommand(io: Io): Command {
  return new Command('verify')
    .description('verify a recording: signatures, every chunk, both sides; a file needs no network')
    .argument('<id|file>', `${ID_HELP}, or a file from \`hoop sessions download ID\``)
    .option('--trust <file>', 'keys to verify with: a file from `hoop sessions trust`')
    .option('--allow-one-sided', 'accept a recording that the client has not signed')
    .option('--json', 'print one JSON document')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-verify.ts')).verifySession));
}

function downloadCommand(io: Io): Command {
  return new Command('download')
    .description('save a recording as one file that can be verified and replayed offline')
    .argument('<id>', ID_HELP)
    .option('-o, --out <file>', 'output file; default <session ID>.tar, `-` for standard output')
    .option('--force', 'replace an existing file')
    .option('--json', 'print one JSON document')
    .addHelpText('after', DOWNLOAD_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-download.ts')).downloadSession));
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 1000) {
    throw new InvalidArgumentError('Give a whole number from 1 to 1000.');
  }
  return value;
}

function speed(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0.1 || value > 1000) {
    throw new InvalidArgumentError('Give a number from 0.1 to 1000.');
  }
  return value;
}

function idle(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || value > 86_400) {
    throw new InvalidArgumentError('Give seconds, from 0 to 86400.');
  }
  return value;
}

function actNumber(text: string): number {
  const value = Number(/^#?(\d{1,15})$/.exec(text)?.[1]);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('Give its number in the replay, such as 3.');
  }
  return value;
}

/** Seconds. */
const DEFAULT_IDLE = 2;

const ID_HELP = 'session ID, the start of one, or `last` for the newest';

const OVERVIEW = `
A session starts with \`hoop connect NAME\` or \`hoop ssh NAME\`, or when a program in \`hoop run\` or
plain ssh first uses a target. The gateway records what crosses the tunnel, and both sides sign the same hashes. The recording
is one file that anyone can check offline.

Examples:
  hoop sessions list
  hoop sessions search "drop table" --since 7d
  hoop sessions replay last
  hoop sessions download last --out evidence.tar
  hoop sessions verify evidence.tar`;

const LIST_EXAMPLES = `
States: live (running), ended (the client has not signed all of it yet), uploaded (it has, and both
sides agree as far as both have it; \`sessions verify\` says how far), disputed (they disagree).

Examples:
  hoop sessions list --target prod-db --limit 10
  hoop sessions list --json | jq -r '.sessions[] | select(.denied > 0) | .id'`;

const SHOW_EXAMPLES = `
You may see your own sessions; as an auditor, anybody's; as an approver, live ones; and while you may
decide on a request, the session that it comes from.

Examples:
  hoop sessions show last
  hoop sessions show 0199c2f4 --json`;

const SEARCH_EXAMPLES = `
Live sessions come first, then those that ended last; within a session the newest hit is first. Case
and white space are ignored. Recordings are encrypted, so a text search has to open them: narrow it by
target, user or time to speed it up. The gateway logs whose recordings it opened.

Examples:
  hoop sessions search "drop table" --since 7d
  hoop sessions search 4711 --user ann --target prod-db
  hoop sessions search --denied --since 2026-03-01 --json | jq '.hits[].session'
  hoop sessions search --touches public.customers --agent devin`;

const END_EXAMPLES = `
Every connection of the session gets an error that says who ended it and why (SQLSTATE 57P01),
and its client exits; the recording is signed as after any other end. Ending a session of
\`hoop run\` also ends the run's login, so the program cannot open another session. People can: to keep
a person out, use \`hoop access block WHO --reason TEXT\`.

Examples:
  hoop sessions list --live
  hoop sessions end last
  hoop sessions kill 0199c2f4 --reason "INC-4711 is over"

\`kill\` is an alias. Approvers can end sessions from any machine where they are logged in.`;

const REPLAY_EXAMPLES = `
On a terminal this opens a viewer (press ? for its keys); in a pipe, or with --no-tui, it prints plain
text. It first verifies the recording and shows the result. Whatever the session contained, only text
and hoop's own colours reach the terminal.

Signs: ✓ allowed, ✗ denied, ! failed, - skipped after a failure, · prepared only, ? unanswered.
Each result shows its first 50 rows and the row count. A shell or command on a server shows the
beginning of its output; --channel prints all of it, line by line with times, and on a terminal plays
it as it happened. Typed input is left out, because passwords are typed; --input shows it.

Examples:
  hoop sessions replay last
  hoop sessions replay 0199c2f4 --no-tui | less
  hoop sessions replay last --channel 3 --speed 4 --max-idle 1
  hoop sessions replay last --channel 3 --asciicast > shell.cast
  hoop sessions replay last --terminal --speed 4
  hoop sessions replay last --terminal --asciicast > last.cast
  hoop sessions replay evidence.tar --json |
    jq 'select(.outcome == "denied") | .text'`;

const WHY_EXAMPLES = `
A prompt is the client's claim about what it was doing, recorded when it was made and signed by both
sides as such. The rest is what the gateway decided and what crossed the tunnel.

Examples:
  hoop sessions why last
  hoop sessions why last 7
  hoop sessions why 0199c2f4:2.5
  hoop sessions why evidence.tar 7 --json |
    jq -r '.statements[].prompts[0].text'`;

const TRUST_EXAMPLES = `
The keys are public. What counts is that they arrive unchanged: send the file through another channel
than the recording, and compare the fingerprints, which are printed beside it.

Examples:
  hoop sessions trust > trust.json
  hoop sessions verify evidence.tar --trust trust.json`;

const VERIFY_EXAMPLES = `
Prints each check with its result; a check that could not be made is never reported as ok.

The keys come from your own login. For people without a login here, write them to a file with
\`hoop sessions trust\` and send it through another channel than the recording; they pass it with --trust.

Exit status: 0 verified; 1 the recording was altered; 2 undecided: no trusted key, incomplete, not a
recording at all, or signed by one side only (see --allow-one-sided).

Examples:
  hoop sessions verify last
  hoop sessions verify evidence.tar --trust trust.json
  hoop sessions verify evidence.tar --json | jq -r .verdict`;

const DOWNLOAD_EXAMPLES = `
Examples:
  hoop sessions download last
  hoop sessions download 0199c2f4 --out evidence.tar
  hoop sessions download last --out - | sha256sum`;
