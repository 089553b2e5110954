import { Command, InvalidArgumentError } from 'commander';
import type { Io } from './io.ts';
import { lazyAction } from './lazy-action.ts';

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
    .addCommand(downloadCommand(io));
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('list sessions, the newest first: your own, or everyone’s if you are an auditor')
    .option('--mine', 'only your own, even if you may see others')
    .option('--live', 'only those that are live; everyone’s for approvers, too')
    .option('--target <name>', 'only sessions on this target')
    .option('--limit <count>', 'at most so many', positiveInteger, Number(DEFAULT_LIMIT))
    .option('--json', 'print one JSON document')
    .addHelpText('after', LIST_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-list.ts')).listSessions));
}

function showCommand(io: Io): Command {
  return new Command('show')
    .description('show one session: who, where, why, when, and what it came to')
    .argument('<id>', ID_HELP)
    .option('--json', 'print one JSON document')
    .addHelpText('after', SHOW_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-list.ts')).showSession));
}

function searchCommand(io: Io): Command {
  return new Command('search')
    .description('find what was done, in all sessions whose recordings you may read, newest first')
    .argument('[text]', 'in statements, commands and bound values; without it the index is asked')
    .option('--user <name>', 'only of this person or workload, by name or the part before the @')
    .option('--target <name>', 'only on this target')
    .option('--agent <name>', 'only what this agent did')
    .option(
      '--touches <name>',
      'only what touched this relation, column, program, path or host:port',
    )
    .option('--class <detector>', 'only what returned values of this class: card, email, ...')
    .option('--seen-clear', 'only what returned that column, or that class, in clear')
    .option('--since <time>', 'not before: 2h ago as `2h`, a day, or a time')
    .option('--until <time>', 'not after')
    .option('--denied', 'only what was refused')
    .option('--limit <count>', 'at most so many', positiveInteger, Number(DEFAULT_LIMIT))
    .option('--cursor <next>', 'go on where a search before this one ended: its `next`')
    .option('--json', 'print one JSON document')
    .addHelpText('after', SEARCH_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-search.ts')).searchSessions));
}

function endCommand(io: Io): Command {
  return new Command('end')
    .alias('kill')
    .description('end a live session: your own, or anybody’s if you are an approver')
    .argument('<id>', 'session id, the start of one, or `last` for your newest')
    .option('--reason <text>', 'why; shown to its user, and signed by both sides')
    .option('--login', 'end the login that opened it, too, with all its sessions and runs')
    .option('--json', 'print one JSON document')
    .addHelpText('after', END_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-end.ts')).endSession));
}

function replayCommand(io: Io): Command {
  return new Command('replay')
    .description('show what happened in a session: statements, decisions, results, times')
    .argument('<id|file>', `${ID_HELP}, or a file from \`hoop sessions download\``)
    .option('--speed <factor>', 'play at this speed: 1 as it was, 10 ten times as fast', speed)
    .option('--max-idle <seconds>', 'cut pauses of a terminal to this', idle, DEFAULT_IDLE)
    .option(
      '--channel <number>',
      'all of one shell or command: its number in the replay',
      actNumber,
    )
    .option('--input', 'with --channel: also what was typed, passwords included')
    .option('--asciicast', 'print a shell or command as asciicast v2, for other players')
    .option('--no-tui', 'plain text, also on a terminal')
    .option('--json', 'print NDJSON, one entry a line')
    .option('--terminal', 'play what the program of `hoop run` showed on its terminal')
    .option('--raw', 'print the bytes that the client received, unfiltered; not on a terminal')
    .option('--trust <file>', 'keys to check with: a copy of trust.json from a HOOP_HOME')
    .addHelpText('after', REPLAY_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-replay.ts')).replaySession));
}

function whyCommand(io: Io): Command {
  return new Command('why')
    .description('show why a statement was sent: the prompt, the decision, and what came of it')
    .argument('<id|file>', `${ID_HELP}, or a file from \`hoop sessions download\``)
    .argument('[statement]', 'its number in the replay, or CONNECTION.STATEMENT; default: a list')
    .option('--trust <file>', 'keys to check with: a copy of trust.json from a HOOP_HOME')
    .option('--json', 'print one JSON document')
    .addHelpText('after', WHY_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-why.ts')).whySession));
}

function verifyCommand(io: Io): Command {
  return new Command('verify')
    .description('check a recording: signatures, every chunk, both sides; a file needs no network')
    .argument('<id|file>', `${ID_HELP}, or a file from \`hoop sessions download\``)
    .option('--trust <file>', 'keys to check with: a copy of trust.json from a HOOP_HOME')
    .option('--allow-one-sided', 'accept a recording that the client has not signed')
    .option('--json', 'print one JSON document')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(lazyAction(io, async () => (await import('./sessions-verify.ts')).verifySession));
}

function downloadCommand(io: Io): Command {
  return new Command('download')
    .description('save a recording as one file that can be verified and replayed offline')
    .argument('<id>', ID_HELP)
    .option('-o, --out <file>', 'where to; default <session id>.tar, `-` for standard output')
    .option('--force', 'replace the file if it is there')
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

const ID_HELP = 'session id, the start of one, or `last` for the newest';

const OVERVIEW = `
A session is everything between \`hoop connect\` or \`hoop ssh\`, or the first use of a target in
\`hoop run\` or by plain ssh, and its end. Both ends record what crossed the tunnel and sign the same hashes; the recording is one
file that anyone can check offline.

Examples:
  hoop sessions list
  hoop sessions search "drop table" --since 7d
  hoop sessions replay last
  hoop sessions download last --out evidence.tar
  hoop sessions verify evidence.tar`;

const LIST_EXAMPLES = `
States: live (running), ended (the client has not signed all of it yet), uploaded (it
has, and both agree as far as both have it; \`sessions verify\` says how far), disputed (they do
not agree).

Examples:
  hoop sessions list --target prod-db --limit 10
  hoop sessions list --json | jq -r '.sessions[] | select(.denied > 0) | .id'`;

const SHOW_EXAMPLES = `
Your own; anybody's for auditors; for approvers those that are live; and while you may decide about
a request, the session that it comes from.

Examples:
  hoop sessions show last
  hoop sessions show 0199c2f4 --json`;

const SEARCH_EXAMPLES = `
Live sessions come first, then the one that ended last; in a session the newest is first. Case and
white space do not count. Recordings are encrypted, so a text is looked for by opening them: the
narrower by target, user or time, the sooner it is there. The gateway logs whose recordings were
opened for it.

Examples:
  hoop sessions search "drop table" --since 7d
  hoop sessions search 4711 --user ann --target prod-db
  hoop sessions search --denied --since 2026-03-01 --json | jq '.hits[].session'
  hoop sessions search --touches public.customers --agent devin`;

const END_EXAMPLES = `
Every connection of the session gets an error that says who ended it and why (SQLSTATE 57P01),
and \`hoop connect\` ends with it; the recording is signed as after any other end. A session of
\`hoop run\` ends with the login of its run, so that the program cannot open another. Anybody else
can: to keep somebody out, \`hoop access block\`.

Examples:
  hoop sessions list --live
  hoop sessions end last
  hoop sessions kill 0199c2f4 --reason "INC-4711 is over"

\`kill\` is another name for it. An approver can do it from any machine that is logged in.`;

const REPLAY_EXAMPLES = `
On a terminal this is a viewer (press ? in it for the keys); in a pipe, or with --no-tui, it is
plain text. The recording is verified first, and the result is shown. Whatever the session
contained, nothing but text and colours of hoop's own reaches the terminal.

Signs: ✓ allowed, ✗ denied, ! failed, - skipped behind a failure, · prepared only, ? unanswered.
The first 50 rows of each result are shown, and how many there were. Of a shell or a command on a
server the beginning of its output is shown; --channel has all of it, line by line with its times,
and on a terminal plays it as it was. What was typed is left out, because passwords are; --input
shows it.

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
A prompt is what the client said it was doing, recorded when it said so: a claim, which both sides
have signed as such. The rest is what the gateway decided and what crossed the tunnel.

Examples:
  hoop sessions why last
  hoop sessions why last 7
  hoop sessions why 0199c2f4:2.5
  hoop sessions why evidence.tar 7 --json |
    jq -r '.statements[].prompts[0].text'`;

const VERIFY_EXAMPLES = `
Each check is printed with its result; a check that could not be made is never called ok.

The keys come from your own login (trust.json in HOOP_HOME). Whoever has no login here can be
given that file, by another way than the recording, and name it with --trust.

Exit status: 0 verified; 1 the recording was altered; 2 it cannot be said: no trusted key, not
complete, no recording at all, or signed by one side only (see --allow-one-sided).

Examples:
  hoop sessions verify last
  hoop sessions verify evidence.tar --trust trust.json
  hoop sessions verify evidence.tar --json | jq -r .verdict`;

const DOWNLOAD_EXAMPLES = `
Examples:
  hoop sessions download last
  hoop sessions download 0199c2f4 --out evidence.tar
  hoop sessions download last --out - | sha256sum`;
