/** `hoop sessions why`: from a statement back to the prompt, and on to what came of it. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { HoopError } from '../../errors.ts';
import { actorName, requesterClaim } from '../../policy/actor-name.ts';
import { readSession } from '../../recording/ended/read-session.ts';
import { verifyBundle } from '../../recording/verify/verify.ts';
import {
  decidedIds,
  type FoundStatement,
  findStatements,
  parseStatementId,
} from '../../replay/find-statements.ts';
import { REPLAY_LIMITS } from '../../replay/replay-limits.ts';
import type { Statement } from '../../replay/timeline.ts';
import { renderJson } from '../../ui/render-json.ts';
import { verdictLine } from '../../ui/replay/verification-lines.ts';
import { statementTable, whyLines } from '../../ui/replay/why-lines.ts';
import type { Io } from '../io.ts';
import { lookOf } from '../print.ts';
import { openRecording } from './sessions-source.ts';
import { timelineOf } from './sessions-timeline.ts';
import { trustedRoots } from './sessions-trust.ts';

export interface WhyFlags {
  readonly json?: boolean;
  readonly trust?: string;
}

/** What a list shows; one statement at a time has it all. */
const LISTED_LIMITS = { ...REPLAY_LIMITS, rows: 0, outputLength: 0, statementLength: 500 };
const MAX_LISTED = 10_000;

export async function whySession(
  io: Io,
  typed: string,
  statement: string | undefined,
  flags: WhyFlags,
): Promise<void> {
  const asked = splitTyped(io, typed, statement);
  const id = asked.statement === undefined ? undefined : parseStatementId(asked.statement);
  if (asked.statement !== undefined && id === undefined) {
    throw new HoopError('HOOP_USAGE', `"${asked.statement}" is not the ID of a statement`, {
      hint: 'Give its number in `hoop sessions replay`, or CONNECTION.STATEMENT; without one, hoop prints the list.',
    });
  }
  const roots = trustedRoots(io, flags.trust);
  await using recording = await openRecording(io, asked.session);
  const verification = verifyBundle(recording.source, { roots, nowMs: Date.now() });
  const reading = readSession(recording.source);
  const { session, target, name, act, requester } = reading.certificate;
  const whom = requesterClaim(requester);
  const who = { principal: name, agent: act?.agent, ...whom, run: act?.run };
  const { verdict, exitStatus } = verification;
  const head = { v: 1, session, target, ...who, verdict, exitStatus };
  const look = lookOf(io);
  const print = (json: object, lines: () => readonly string[]): void => {
    io.stdout.write(
      flags.json === true
        ? `${renderJson({ ...head, ...json })}\n`
        : `${[verdictLine(verification, look.style), ...lines()].join('\n')}\n`,
    );
  };
  if (id === undefined) {
    const { statements, more } = listed(timelineOf(reading, LISTED_LIMITS));
    print({ statements: statements.map(listedJson), more }, () =>
      statementTable(statements, more, look),
    );
    const [first] = statements;
    if (first !== undefined && flags.json !== true) {
      io.note(`for one of them: \`hoop sessions why ${asked.session} ${first.number}\``);
    }
  } else {
    const { found, more } = findStatements(timelineOf(reading), id);
    if (found.length === 0) {
      throw new HoopError('HOOP_USAGE', `there is no statement "${asked.statement}" in it`, {
        hint: `See them with \`hoop sessions why ${asked.session}\`.`,
      });
    }
    print({ statements: found.map(foundJson), more }, () =>
      whyLines(
        { session, target, principal: actorName({ name, requester, ...act }) },
        { found, more },
        look,
      ),
    );
  }
  if (exitStatus === 1) {
    throw new HoopError('HOOP_VERIFY_FAILED', `recording "${recording.name}" was altered`, {
      detail: 'What was shown is not what both sides signed.',
      hint: 'See which check failed with `hoop sessions verify ID`.',
    });
  }
}

/** `SESSION:2.5` is one word for both; a file may have a colon in its name. */
function splitTyped(
  io: Io,
  typed: string,
  statement: string | undefined,
): { readonly session: string; readonly statement: string | undefined } {
  const colon = typed.lastIndexOf(':');
  if (statement !== undefined || colon < 1 || existsSync(resolve(io.cwd, typed))) {
    return { session: typed, statement };
  }
  return { session: typed.slice(0, colon), statement: typed.slice(colon + 1) };
}

function listed(timeline: ReturnType<typeof timelineOf>): {
  readonly statements: readonly Statement[];
  readonly more: number;
} {
  const statements: Statement[] = [];
  let more = 0;
  for (const entry of timeline) {
    if (entry.type === 'statement') {
      if (statements.length < MAX_LISTED) {
        statements.push(entry);
      } else {
        more += 1;
      }
    }
  }
  return { statements: statements.sort((a, b) => a.number - b.number), more };
}

function listedJson(statement: Statement): object {
  const { number, stream, outcome, prompt, text } = statement;
  return { number, ids: decidedIds(statement), stream, outcome, prompt, text };
}

/** The first of `prompts` was in force; the others are those that it stands under. */
function foundJson({ statement, prompts }: FoundStatement): object {
  return {
    ids: decidedIds(statement),
    prompts: prompts.map(({ type: _, ...prompt }) => ({ ...prompt, claimedBy: 'client' })),
    statement,
  };
}
