/** The work of `hoop connect`: a session, what is printed about it, a command if there is one. */
import { basename } from 'node:path';
import { debuglog } from 'node:util';
import { type OpenGateway, openGateway } from '../auth/open-gateway.ts';
import { durationWords } from '../duration-words.ts';
import { HoopError } from '../errors.ts';
import { outcomeWord } from '../recording/formats/types.ts';
import type { EvidenceLine } from '../recording/verify/evidence-lines.ts';
import { endError } from '../recording/write/end-error.ts';
import { adoptAbandonedRuns } from '../run/abandoned-runs.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import type { LocalOffer } from '../tunnel/connector.ts';
import {
  type LastingAddress,
  newLastingSecret,
  openLastingSide,
  readLastingAddress,
  writeLastingAddress,
} from '../tunnel/lasting-address.ts';
import { type LocalSide, openLocalSide } from '../tunnel/local-side.ts';
import type { SessionEnd } from '../tunnel/session-end.ts';
import { uploadPending } from '../tunnel/upload-recordings.ts';
import { renderJson } from '../ui/render-json.ts';
import { maskList, maskUses } from '../ui/text/mask-words.ts';
import { plain } from '../ui/text/printable.ts';
import { localTime, plural } from '../ui/text/times.ts';
import { onAbort } from '../until.ts';
import { requireProgram } from './child/find-program.ts';
import { ConnectedTarget } from './connected-target.ts';
import type { Io } from './io.ts';
import { withOtherTargets } from './other-targets.ts';
import { type PromptFlags, promptInForce } from './runs/prompt-flags.ts';
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
  readonly forever?: boolean;
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
  if (request.socket && process.platform === 'win32') {
    throw new HoopError('HOOP_USAGE', '--socket needs Unix sockets, which Windows lacks', {
      hint: 'Omit it to use a port.',
    });
  }
  if (request.socket && request.forever) {
    throw new HoopError('HOOP_USAGE', '--socket and --forever exclude each other', {
      detail: 'The socket’s directory is removed when you log out of this machine.',
      hint: 'Omit --socket; --tls lets clients check that it is hoop that listens.',
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
  const lasting = request.forever ? lastingOf(open, request.target) : undefined;
  const local = await openSide(open, request, lasting);
  let opened = 0;
  const target = new ConnectedTarget({
    open,
    local,
    target: request.target,
    reason: request.reason,
    prompt,
    tls: request.tls ?? false,
    allowedUids: request.allowUid,
    secret: lasting?.secret,
    isLasting: lasting !== undefined || request.command.length > 0,
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
    note: io.note,
    onOpened: (session) => {
      summary?.opened(session);
      opened += 1;
      if (opened > 1 || lasting?.known !== undefined) {
        showNext(told, request, { offer: target.offer, session }, json);
      }
    },
    onEnded: (session, { reason, message }) => {
      json({ event: 'ended', session: session.id, reason, message });
      told.note(
        `the session has ended: ${plain(message)}; the port stays: the next connection opens a new session`,
      );
    },
    onUploaded: (receipt) => {
      summary?.uploaded(receipt);
      const { session, cuts, hasUnconfirmedTail } = receipt;
      json({ event: 'uploaded', session, cuts, complete: !hasUnconfirmedTail });
    },
    onNotUploaded: (session, error) => summary?.notUploaded(session, error),
  });
  const starting = target
    .start(lasting?.known)
    .catch((error: unknown) => withOtherTargets(error, open, request.target, io.signal));
  if (request.command.length > 0) {
    // What runs a command takes as long to load as the gateway to answer: both at once.
    void import('./runs/run-child.ts');
  }
  let exitStatus: number | undefined;
  const watched: Io = {
    ...told,
    setExitCode: (status) => {
      exitStatus = status;
      told.setExitCode(status);
    },
  };
  const first = await starting;
  // Recordings of sessions whose upload failed: now the gateway is there.
  const except = first === undefined ? [] : [first.id];
  const pending = adoptAbandonedRuns({ open, note: io.note }).then(() =>
    uploadPending({ open, except, note: io.note, signal: io.signal }),
  );
  let end: SessionEnd = { reason: 'closed', message: 'closed by you' };
  const close = (): Promise<void> =>
    target.close(async () => {
      const { reason, message } = end;
      const refused = Object.fromEntries(target.refused);
      json({ event: 'closing', reason, message, refused });
      if (request.command.length === 0) {
        // Why it ended is then said by the error below, once the recording is delivered.
        const isAsked = reason === 'closed';
        told.note(isAsked ? `session ended: ${plain(message)}` : 'the session has ended');
      }
      noteRefused(io, target.refused);
      await pending;
    });
  try {
    if (lasting !== undefined) {
      keepAddress(open, lasting, { port: local.listener.port, first });
    }
    show(io, request, { offer: target.offer, session: first }, json);
    end = await (request.command.length > 0
      ? serveCommand(watched, request, { offer: target.offer, session: first }, json)
      : untilEnd(io, target));
  } catch (error) {
    await close();
    throw error;
  }
  try {
    await close();
  } catch (error) {
    if (end.reason !== 'closed' && request.command.length === 0) {
      // This error takes the place of the one below, often for the same reason: no access any more.
      io.note(`it ended: ${plain(end.message)}`);
    }
    throw error;
  } finally {
    await summary?.write(open, exitStatus);
  }
  if (end.reason !== 'closed' && request.command.length === 0) {
    throw endError(end);
  }
}

interface Lasting {
  /** Absent: the address is made now. */
  readonly known: LastingAddress['target'] | undefined;
  readonly port: number | undefined;
  readonly secret: LastingAddress['secret'];
}

/** @throws HoopError HOOP_USAGE inside a run, HOOP_LOCAL_STATE */
function lastingOf({ home, gateway }: OpenGateway, target: string): Lasting {
  if (home.run !== undefined) {
    throw new HoopError('HOOP_USAGE', 'no --forever inside a run', {
      detail: 'The run ends, and its login with it.',
      hint: 'Omit --forever, or run it in a shell outside `hoop run`.',
    });
  }
  const kept = readLastingAddress(home, gateway, target);
  return { known: kept?.target, port: kept?.port, secret: kept?.secret ?? newLastingSecret() };
}

/** Takes the address before the gateway is asked: what cannot be listened on leaves no session. */
function openSide(
  { home, gateway }: OpenGateway,
  { target, socket, port }: ConnectRequest,
  lasting: Lasting | undefined,
): Promise<LocalSide> {
  return lasting === undefined
    ? openLocalSide(home, socket ? { type: 'unix' } : { type: 'tcp', port: port ?? 0 })
    : openLastingSide(home, { gateway, target, port: port ?? lasting.port });
}

function keepAddress(
  { home, gateway }: OpenGateway,
  { known, secret, port: before }: Lasting,
  { port, first }: { readonly port: number; readonly first: ClientSession | undefined },
): void {
  const target = known ?? first?.reply.target;
  if (target !== undefined && (known === undefined || port !== before)) {
    writeLastingAddress(home, { gateway, target, port, secret });
  }
}

/** Until Ctrl-C, or until the port must close. */
async function untilEnd(io: Io, target: ConnectedTarget): Promise<SessionEnd> {
  const { promise, resolve } = Promise.withResolvers<SessionEnd>();
  using _ = onAbort(io.signal, () => resolve({ reason: 'closed', message: 'closed by you' }));
  return await Promise.race([promise, target.over]);
}

/** Until the command has ended. */
async function serveCommand(
  io: Io,
  { command }: ConnectRequest,
  served: Served,
  json: JsonWriter,
): Promise<SessionEnd> {
  const { runChild } = await import('./runs/run-child.ts');
  const status = await runChild(io, command, commandEnvironment(io.env, served));
  io.setExitCode(status);
  json({ event: 'exited', status });
  return { reason: 'closed', message: 'the command has ended' };
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

interface Served {
  readonly offer: LocalOffer;
  /** Absent: the first connection opens one. */
  readonly session: ClientSession | undefined;
}

function show(io: Io, request: ConnectRequest, served: Served, json: JsonWriter): void {
  const { offer, session } = served;
  const told = offer.told(request.url ? 'url' : 'words');
  const { facts, secrets, hasMasks = false, before = [], line, after = [] } = told;
  const hasCommand = request.command.length > 0;
  json({
    event: 'listening',
    ...(session === undefined ? {} : { session: session.id }),
    target: request.target,
    // A command has the password in its environment; its stderr goes to logs that live longer.
    ...(hasCommand ? {} : secrets),
    ...facts,
    ...(session === undefined ? {} : sessionFacts(session, hasMasks)),
  });
  if (request.json && hasCommand) {
    return;
  }
  if (session === undefined) {
    io.note(
      `${plain(request.target)} has its lasting address: the first connection opens a session`,
    );
  } else {
    noteSession(io, session, { hasMasks, hasCommand });
  }
  if (hasCommand || request.json) {
    return;
  }
  for (const text of before) {
    io.note(text);
  }
  io.stdout.write(`${line}\n`);
  const end = request.forever
    ? 'Ctrl-C closes the port; the same command opens it again at the same address'
    : 'Ctrl-C ends the session';
  io.note([...after, end].join('; '));
}

/** Reports a session that a local connection has opened. */
function showNext(
  io: Io,
  { command }: ConnectRequest,
  { offer, session }: { readonly offer: LocalOffer; readonly session: ClientSession },
  json: JsonWriter,
): void {
  const { hasMasks = false } = offer.told('words');
  json({
    event: 'session',
    session: session.id,
    target: session.reply.target.name,
    ...sessionFacts(session, hasMasks),
  });
  noteSession(io, session, { hasMasks, hasCommand: command.length > 0 });
}

function sessionFacts({ reply, policy }: ClientSession, hasMasks: boolean) {
  return {
    policy: { commit: policy.commit },
    ...(hasMasks ? { masked: reply.masked } : {}),
    expiresAt: reply.expiresAt,
  };
}

/** How the client came to trust the commit, in words. */
const POLICY_SOURCES = {
  local: 'verified here before',
  repository: 'fetched and verified here',
  gateway: 'sent by the gateway and verified here',
} as const;

function noteSession(
  io: Io,
  { reply, policy }: ClientSession,
  { hasMasks, hasCommand }: { readonly hasMasks: boolean; readonly hasCommand: boolean },
): void {
  const { limits } = reply;
  const masks =
    reply.masked.length > 0
      ? // A refusal says the uses, too, and a command's own output follows this.
        [
          `masked: ${plain(maskList(reply.masked))}`,
          ...(hasCommand ? [] : maskUses(reply.masked).map(plain)),
        ]
      : ['no column is masked'];
  io.note(`session ${reply.session} to ${plain(reply.target.name)} (recorded)`);
  io.note(
    `policy ${policy.commit.slice(0, 12)}, signed by ${plain(policy.signer)}, ${POLICY_SOURCES[policy.source]}`,
  );
  for (const line of hasMasks ? masks : []) {
    io.note(line);
  }
  io.note(
    `ends ${localTime(Date.parse(reply.expiresAt))}, or after ${durationWords(limits.idleTimeSeconds)} of idle time; at most ${plural(limits.maxConnections, 'connection')}`,
  );
}

/** The environment of a command that is run on a target. */
function commandEnvironment(env: NodeJS.ProcessEnv, { offer, session }: Served): NodeJS.ProcessEnv {
  const endpoint = offer.endpoint(true);
  const kept = Object.entries(env).filter(([name]) => !endpoint.hides?.(name));
  const first = session === undefined ? {} : { HOOP_SESSION: session.id };
  return { ...Object.fromEntries(kept), ...endpoint.env, ...first };
}
