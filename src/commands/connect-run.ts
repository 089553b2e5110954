/** The work of `hoop connect`: a session, what is printed about it, a command if there is one. */
import { basename } from 'node:path';
import { debuglog } from 'node:util';
import { openGateway } from '../auth/open-gateway.ts';
import { CONNECTORS } from '../connectors/registry.ts';
import { durationWords } from '../duration-words.ts';
import { HoopError } from '../errors.ts';
import { endError } from '../recording/end-error.ts';
import type { EvidenceLine } from '../recording/evidence-lines.ts';
import { outcomeWord } from '../recording/types.ts';
import { adoptAbandonedRuns } from '../run/abandoned-runs.ts';
import { type ClientSession, connectSession } from '../tunnel/connect-session.ts';
import type { SessionEnd } from '../tunnel/session-end.ts';
import { uploadPending, uploadRecording } from '../tunnel/upload-recordings.ts';
import { maskList, maskUses } from '../ui/mask-words.ts';
import { plain } from '../ui/printable.ts';
import { renderJson } from '../ui/render-json.ts';
import { localTime, plural } from '../ui/times.ts';
import { onAbort } from '../until.ts';
import { requireProgram } from './find-program.ts';
import type { Io } from './io.ts';
import { withOtherTargets } from './other-targets.ts';
import { type PromptFlags, promptInForce } from './prompt-flags.ts';
import { sessionOptions } from './session-options.ts';
import { openSummary, type SummaryFlags } from './summary-file.ts';

/** Shown with NODE_DEBUG=hoop:tunnel. */
const debug = debuglog('hoop:tunnel');

export interface ConnectFlags extends PromptFlags, SummaryFlags {
  readonly port?: number;
  readonly socket?: boolean;
  readonly tls?: boolean;
  readonly allowUid?: readonly number[];
  readonly reason?: string;
  readonly url?: boolean;
  readonly json?: boolean;
}

export interface ConnectRequest extends ConnectFlags {
  readonly target: string;
  readonly command: readonly string[];
}

export async function runConnect(outer: Io, request: ConnectRequest): Promise<void> {
  if (request.socket && request.port !== undefined) {
    throw new HoopError('HOOP_USAGE', '--socket and --port exclude each other');
  }
  if (request.socket && (request.tls || request.allowUid !== undefined)) {
    const option = request.tls ? '--tls' : '--allow-uid';
    throw new HoopError('HOOP_USAGE', `--socket and ${option} exclude each other`, {
      detail: 'A unix socket does not leave the machine, and only you can enter its directory.',
    });
  }
  const [program] = request.command;
  if (program !== undefined) {
    requireProgram(program, { cwd: outer.cwd, path: outer.env['PATH'] });
  }
  const prompt = await promptInForce(outer, request);
  const summary = openSummary(outer, request);
  const json = jsonWriter(outer, request);
  const io = notesAs(outer, request, json);
  // For what an event has said already, where both would come on stderr.
  const told: Io = io === outer ? io : { ...io, note: () => undefined };
  await using open = await openGateway(io);
  const connecting = connectSession({
    open,
    target: request.target,
    reason: request.reason,
    prompt,
    tls: request.tls,
    allowedUids: request.allowUid,
    listen: {
      ...(request.socket ? { type: 'unix' } : { type: 'tcp', port: request.port ?? 0 }),
      connectors: CONNECTORS,
    },
    self: io.self,
    ...sessionOptions(io),
    events: {
      onEvidence: (line) => {
        summary?.evidence(request.target, line);
        showEvidence(isTold(request, line) ? { ...told, note: () => undefined } : told, json, line);
      },
      onRefused: (reason) => io.note(`a local connection was refused: ${reason}`),
      onNote: (text) => io.note(plain(text)),
      onFallback: (because) => {
        json({ event: 'carrier', carrier: 'websocket', because });
        debug('streams go over WebSockets: %s', because);
      },
    },
  }).catch((error: unknown) => withOtherTargets(error, open, request.target, io.signal));
  if (request.command.length > 0) {
    // What runs a command takes as long to load as the gateway to answer: both at once.
    void import('./run-child.ts');
  }
  let exitStatus: number | undefined;
  const watched: Io = {
    ...told,
    setExitCode: (status) => {
      exitStatus = status;
      told.setExitCode(status);
    },
  };
  const session = await connecting;
  summary?.opened(session);
  // Recordings of sessions whose upload failed: now the gateway is there.
  const pending = adoptAbandonedRuns({ open, note: io.note }).then(() =>
    uploadPending({ open, except: [session.id], note: io.note, signal: io.signal }),
  );
  let end: SessionEnd;
  try {
    show(io, request, session, json);
    end = await (request.command.length > 0
      ? serveCommand(watched, request, session, json)
      : untilEnd(io, session));
  } finally {
    await session.close();
  }
  const refused = Object.fromEntries(session.refused);
  json({ event: 'closing', reason: end.reason, message: end.message, refused });
  if (request.command.length === 0) {
    // Why it ended is then said by the error below, once the recording is delivered.
    const isAsked = end.reason === 'closed';
    told.note(isAsked ? `session ended: ${plain(end.message)}` : 'the session has ended');
  }
  noteRefused(io, session.refused);
  await pending;
  const receipt = await uploadRecording({
    open,
    session: session.id,
    live: session.live,
    note: io.note,
  })
    .then((done) => {
      summary?.uploaded(done);
      return done;
    })
    .catch((error: unknown) => {
      summary?.notUploaded(session.id, error);
      if (end.reason !== 'closed' && request.command.length === 0) {
        // This error takes the place of the one below, often for the same reason: no access any more.
        io.note(`it ended: ${plain(end.message)}`);
      }
      throw error;
    })
    .finally(() => summary?.write(open, exitStatus));
  json({
    event: 'uploaded',
    session: session.id,
    cuts: receipt.cuts,
    complete: !receipt.hasUnconfirmedTail,
  });
  if (end.reason !== 'closed' && request.command.length === 0) {
    throw endError(end);
  }
}

/** Until Ctrl-C, or until the gateway or the recording ends it. */
async function untilEnd(io: Io, session: ClientSession): Promise<SessionEnd> {
  const { promise, resolve } = Promise.withResolvers<SessionEnd>();
  using _ = onAbort(io.signal, () => resolve({ reason: 'closed', message: 'closed by you' }));
  return await Promise.race([promise, session.ended]);
}

/** Until the command has ended; a session that ends before is said, and closed at once. */
async function serveCommand(
  io: Io,
  { command }: ConnectRequest,
  session: ClientSession,
  json: JsonWriter,
): Promise<SessionEnd> {
  let early: SessionEnd | undefined;
  let closing: Promise<void> | undefined;
  void session.ended.then((end) => {
    early = end;
    io.note(`the session has ended: ${plain(end.message)}`);
    closing = session.close();
  });
  const { runChild } = await import('./run-child.ts');
  const status = await runChild(io, command, commandEnvironment(io.env, session));
  io.setExitCode(status);
  json({ event: 'exited', status });
  await closing;
  const end = early ?? { reason: 'closed', message: 'the command has ended' };
  // What ended under the command was said when it did.
  if (early === undefined) {
    io.note(`session ended: ${end.message}`);
  }
  return end;
}

/** Somebody on this machine tried; each was said when it came, which may have scrolled away. */
function noteRefused(io: Io, refused: ClientSession['refused']): void {
  if (refused.size > 0) {
    const counts = [...refused].map(([reason, count]) => `${count} × ${reason}`);
    io.note(`refused local connections: ${counts.join(', ')}`);
  }
}

type JsonWriter = (line: Readonly<Record<string, unknown>>) => void;

/** With a command, stdout is the command's own, and its stderr is shared with us. */
function jsonWriter(io: Io, request: ConnectRequest): JsonWriter {
  const stream = request.command.length === 0 ? io.stdout : io.stderr;
  return (line) => {
    if (request.json) {
      stream.write(`${renderJson({ ...line, v: 1 })}\n`);
    }
  };
}

/** Where stderr is NDJSON, notes are lines of it; `--quiet` drops them and keeps what --json is for. */
function notesAs(io: Io, request: ConnectRequest, json: JsonWriter): Io {
  return request.json && request.command.length > 0
    ? { ...io, note: (message) => (io.quiet ? undefined : json({ event: 'note', message })) }
    : io;
}

/**
 * psql shows both on the stderr that it shares with us, as ERROR and as NOTICE, with all that is to
 * be said. Of other programs nobody knows whether they show what the server tells them.
 */
function isTold({ command: [program = ''] }: ConnectRequest, { type }: EvidenceLine): boolean {
  return (type === 'denied' || type === 'held') && basename(program) === 'psql';
}

function showEvidence(io: Io, json: JsonWriter, line: EvidenceLine): void {
  if (line.type === 'access') {
    const { change, grant, policy, message } = line;
    json({ event: 'access', change, grant, policy, message });
    io.note(plain(message));
    return;
  }
  if (line.type === 'denied') {
    json({
      event: 'denied',
      code: line.code,
      message: line.message,
      detail: line.detail,
      hint: line.hint,
      rule: line.rule,
    });
    io.note(`denied: ${plain(line.message)}${line.rule ? ` (${plain(line.rule)})` : ''}`);
  } else if (line.type === 'held') {
    const { request, message, approvers, waits, until } = line;
    json({ event: 'held', request, message, approvers, waits, until });
    io.note(
      `held: ${plain(message)}; by ${plain(approvers)}, until ${localTime(Date.parse(until))}`,
    );
  } else if (line.type === 'decided') {
    const { request, outcome, by, message } = line;
    json({ event: 'decided', request, outcome, by, message });
    const names = by.length > 0 ? ` by ${by.map(plain).join(', ')}` : '';
    io.note(
      `decided: request ${plain(request)} ${outcomeWord(outcome)}${names}${message ? `: ${plain(message)}` : ''}`,
    );
  }
}

function show(io: Io, request: ConnectRequest, session: ClientSession, json: JsonWriter): void {
  const { reply, policy, offer } = session;
  const told = offer.told(request.url ? 'url' : 'words');
  const { facts, secrets, hasMasks, before = [], line, after = [] } = told;
  const hasCommand = request.command.length > 0;
  json({
    event: 'listening',
    session: reply.session,
    target: reply.target.name,
    // A command has the password in its environment; its stderr goes to logs that live longer.
    ...(hasCommand ? {} : secrets),
    ...facts,
    policy: { commit: policy.commit },
    ...(hasMasks ? { masked: reply.masked } : {}),
    expiresAt: reply.expiresAt,
  });
  if (request.json && hasCommand) {
    return;
  }
  const masks =
    reply.masked.length > 0
      ? [`masked: ${plain(maskList(reply.masked))}`, ...maskUses(reply.masked).map(plain)]
      : ['no column is masked'];
  noteSession(io, session, ...(hasMasks ? masks : []));
  if (hasCommand || request.json) {
    return;
  }
  for (const text of before) {
    io.note(text);
  }
  io.stdout.write(`${line}\n`);
  io.note([...after, 'Ctrl-C ends the session'].join('; '));
}

/** What is said of a session when it begins. */

/** How the client came to trust the commit, in words. */
const POLICY_SOURCES = {
  local: 'verified here before',
  repository: 'fetched and verified here',
  gateway: 'sent by the gateway and verified here',
} as const;

/** @param masks what is masked, where something can be */
function noteSession(io: Io, { reply, policy }: ClientSession, ...masks: readonly string[]): void {
  const { limits } = reply;
  io.note(`session ${reply.session} to ${plain(reply.target.name)} (recorded)`);
  io.note(
    `policy ${policy.commit.slice(0, 12)}, signed by ${plain(policy.signer)}, ${POLICY_SOURCES[policy.source]}`,
  );
  for (const line of masks) {
    io.note(line);
  }
  io.note(
    `ends ${localTime(Date.parse(reply.expiresAt))}, or after ${durationWords(limits.idleTimeSeconds)} of idle time; at most ${plural(limits.maxConnections, 'connection')}`,
  );
}

/** The environment of a command that is run on a session. */
function commandEnvironment(env: NodeJS.ProcessEnv, session: ClientSession): NodeJS.ProcessEnv {
  const endpoint = session.offer.endpoint(true);
  const kept = Object.entries(env).filter(([name]) => !endpoint.hides?.(name));
  return { ...Object.fromEntries(kept), ...endpoint.env, HOOP_SESSION: session.id };
}
