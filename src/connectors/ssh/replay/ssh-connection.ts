/**
 * One recorded SSH connection: frames of both directions and the gateway's events in, what was done
 * on the server out. Output is counted, and its beginning kept; all of it is for connector.ts.
 */
import { ProtocolError } from '../../../errors.ts';
import type { RecordingEvent } from '../../../recording/formats/types.ts';
import type { EventOfStream, StreamContext, StreamDecoder } from '../../../replay/connector.ts';
import { decisionOf } from '../../../replay/operation-entry.ts';
import { MAX_OPEN_CHANNELS, MAX_OPEN_FILES } from '../../../replay/replay-limits.ts';
import type { ActKind, ApprovalStep, Statement } from '../../../replay/timeline.ts';
import type { ChannelRequest, DownFrame, UpFrame } from '../protocol/frame.ts';
import { FrameDecoder } from '../protocol/frame-decoder.ts';
import { NOT_CARRIED, type NotCarried } from '../protocol/not-carried.ts';
import { OpenAct, OpenChannel } from './open-act.ts';

export interface SshConnectionOptions extends StreamContext {
  /** The client has said who it wants to be. */
  readonly onHello: (user: string, software: string, timeMs: number) => void;
  readonly onEnd: (act: Statement) => void;
}

type DecisionEvent = Extract<RecordingEvent, { type: 'decision' }>;
type ResultEvent = Extract<RecordingEvent, { type: 'result' }>;
type ChannelEvent = Extract<RecordingEvent, { type: 'ssh.channel' }>;
type FileEvent = Extract<RecordingEvent, { type: 'ssh.file' }>;

export class SshConnection implements StreamDecoder {
  readonly #options: SshConnectionOptions;
  readonly #up = FrameDecoder.up();
  readonly #down = FrameDecoder.down();
  readonly #channels = new Map<number, OpenChannel>();
  /** By the offset of the frame that asked for them, while their channel is open. */
  readonly #acts = new Map<number, OpenAct>();
  readonly #notCarried = new Map<NotCarried, OpenAct>();
  /** Within sftp; the end of a file comes when it is closed. Several requests may be in one frame. */
  readonly #files = new Map<string, OpenAct>();

  constructor(options: SshConnectionOptions) {
    this.#options = options;
  }

  /** @throws ProtocolError: what was recorded cannot be read from here on. */
  up(bytes: Uint8Array, timeMs: number): void {
    this.#up.feed(bytes);
    for (let frame = this.#up.next(); frame !== undefined; frame = this.#up.next()) {
      this.#fromClient(frame, this.#up.frameStart, timeMs);
    }
  }

  /** @throws ProtocolError: what was recorded cannot be read from here on. */
  down(bytes: Uint8Array, timeMs: number): void {
    this.#down.feed(bytes);
    for (let frame = this.#down.next(); frame !== undefined; frame = this.#down.next()) {
      this.#fromGateway(frame, timeMs);
    }
  }

  event(event: EventOfStream, timeMs: number): void {
    switch (event.type) {
      case 'decision':
        this.#decision(event, timeMs);
        return;
      case 'result':
        this.#result(event);
        return;
      case 'ssh.channel':
        this.#told(event);
        return;
      case 'ssh.file':
        this.#fileEvent(event, timeMs);
        return;
      case 'approval.held':
      case 'lookups':
        return;
    }
  }

  /** About a shell, a command and the like, or about a file. */
  #decision(event: DecisionEvent, timeMs: number): void {
    const { at } = event;
    const decision = decisionOf(event);
    const act = this.#acts.get(at);
    if (act !== undefined) {
      act.decide(decision);
      if (act.kind === 'not carried') {
        this.#endNotCarried(act, timeMs);
      }
      return;
    }
    const key = keyOf(at, operationOf(event.verbs[0]), event.relations[0]);
    const file = this.#file(key, { at, text: textOf(event), timeMs });
    file.decide(decision);
    const isAll = event.effect === 'allow' && event.verbs.every((verb) => ONLY_DECIDED.has(verb));
    if (isAll) {
      file.answer('ok');
    }
    if (file.isRefused || isAll) {
      this.#endFile(key, file, timeMs);
    }
  }

  /** Exit statuses are in the frames; where a forward went is said here. */
  #result({ at, tag }: ResultEvent): void {
    const act = this.#acts.get(at);
    if (act?.kind === 'forward') {
      act.address = tag;
    }
  }

  /** The gateway's word on a channel that is over. */
  #told({ channel: number, dropped }: ChannelEvent): void {
    const channel = this.#channels.get(number);
    if (channel !== undefined) {
      channel.isTold = true;
      channel.dropped = dropped ?? [];
      if (channel.closedMs !== undefined) {
        this.#close(channel, channel.closedMs);
      }
    }
  }

  #fileEvent(event: FileEvent, timeMs: number): void {
    const { type: _, stream: __, channel: ___, ...record } = event;
    const text = record.to === undefined ? record.path : `${record.path} ${record.to}`;
    const key = keyOf(record.at, record.operation, record.path);
    const file = this.#file(key, { at: record.at, text: `${record.operation} ${text}`, timeMs });
    file.file = record;
    const isDone =
      record.status === 0 || (record.status === undefined && record.note === undefined);
    file.answer(isDone ? 'ok' : 'failed');
    this.#endFile(key, file, timeMs);
  }

  /** @returns number of the act that shows it; undefined: there is none. */
  approval(at: number, step: ApprovalStep): number | undefined {
    const act = this.#acts.get(at) ?? this.#files.values().find((file) => file.at === at);
    return act?.approval(step) ? act.number : undefined;
  }

  /** The recording of this connection ends here. */
  end(): void {
    for (const channel of this.#channels.values()) {
      this.#endAct(channel, channel.closedMs);
    }
    this.#channels.clear();
    for (const [key, file] of this.#files) {
      this.#endFile(key, file, undefined);
    }
    for (const act of this.#notCarried.values()) {
      this.#endNotCarried(act, undefined);
    }
  }

  #fromClient(frame: UpFrame, at: number, timeMs: number): void {
    switch (frame.type) {
      case 'hello':
        this.#options.onHello(frame.user, frame.software, timeMs);
        return;
      case 'open': {
        if (this.#channels.size >= MAX_OPEN_CHANNELS) {
          this.#endClosed();
        }
        if (this.#channels.size >= MAX_OPEN_CHANNELS) {
          throw new ProtocolError(`more than ${MAX_OPEN_CHANNELS} channels are open`);
        }
        const { limits, budget } = this.#options;
        const channel = new OpenChannel(frame.channel, limits, budget);
        this.#channels.set(frame.channel, channel);
        if (frame.target.kind === 'direct-tcpip') {
          const { host, port } = frame.target;
          this.#begin(channel, 'forward', `${host}:${port}`, { at, timeMs });
        }
        return;
      }
      case 'request': {
        const channel = this.#channels.get(frame.channel);
        if (channel !== undefined) {
          const act = this.#request(channel, frame.request, { at, timeMs });
          if (frame.wantReply) {
            channel.replies.push(act);
          }
        }
        return;
      }
      case 'notCarried':
        // Again would be no client of ours.
        if (!this.#notCarried.has(frame.what)) {
          const act = this.#act('not carried', NOT_CARRIED[frame.what].name, at, timeMs);
          this.#notCarried.set(frame.what, act);
          this.#acts.set(at, act);
        }
        return;
      case 'data':
        this.#channels.get(frame.channel)?.input(frame.data);
        return;
      case 'window':
      case 'eof':
      case 'close':
        return;
    }
  }

  #request(
    channel: OpenChannel,
    request: ChannelRequest,
    place: { readonly at: number; readonly timeMs: number },
  ): OpenAct | undefined {
    switch (request.kind) {
      case 'pty-req': {
        const { term, columns, rows } = request;
        channel.terminal = { term, columns, rows };
        return undefined;
      }
      case 'env':
        channel.variable(request.name, request.value);
        return undefined;
      case 'shell':
        return this.#begin(channel, 'shell', '', place);
      case 'exec':
        return this.#begin(channel, 'exec', new TextDecoder().decode(request.command), place);
      case 'subsystem':
        return this.#begin(channel, 'subsystem', request.name, place);
      default:
        // Sizes, signals and the like are part of what is played.
        return undefined;
    }
  }

  #fromGateway(frame: DownFrame, timeMs: number): void {
    if (frame.type === 'hello') {
      return;
    }
    if (frame.type === 'disconnect') {
      for (const channel of this.#channels.values()) {
        if (channel.closedMs === undefined) {
          channel.act?.fail(frame.message);
        }
        this.#endAct(channel, channel.closedMs ?? timeMs);
      }
      this.#channels.clear();
      return;
    }
    const channel = this.#channels.get(frame.channel);
    if (channel === undefined) {
      return;
    }
    switch (frame.type) {
      case 'opened':
        channel.act?.answer('ok');
        return;
      case 'openFailed':
        channel.act?.fail(frame.message);
        this.#close(channel, timeMs);
        return;
      case 'success':
        channel.replies.shift()?.answer('ok');
        return;
      case 'failure':
        channel.replies.shift()?.answer('failed');
        return;
      case 'data':
      case 'stderr':
        channel.output(frame.data, frame.type === 'stderr');
        return;
      case 'exitStatus':
        channel.exit = { status: frame.status };
        channel.act?.answer('ok');
        return;
      case 'exitSignal': {
        const { name: signal, coreDumped, message } = frame;
        channel.exit = { signal, coreDumped, message };
        channel.act?.answer('ok');
        return;
      }
      case 'close':
        channel.closedMs ??= timeMs;
        if (channel.isTold) {
          this.#close(channel, timeMs);
        }
        return;
      case 'window':
      case 'eof':
        return;
    }
  }

  #begin(
    channel: OpenChannel,
    kind: ActKind,
    text: string,
    { at, timeMs }: { readonly at: number; readonly timeMs: number },
  ): OpenAct {
    // After a refusal something else may be asked for on the same channel.
    this.#endAct(channel, timeMs);
    const act = this.#act(kind, text, at, timeMs);
    channel.act = act;
    this.#acts.set(at, act);
    return act;
  }

  #act(kind: ActKind, text: string, at: number, timeMs: number): OpenAct {
    const { stream, nextNumber, prompt, limits } = this.#options;
    return new OpenAct(
      { number: nextNumber(), stream, at, kind, text, prompt: prompt(), startMs: timeMs },
      limits,
    );
  }

  #file(
    key: string,
    { at, text, timeMs }: { readonly at: number; readonly text: string; readonly timeMs: number },
  ): OpenAct {
    const known = this.#files.get(key);
    if (known !== undefined) {
      return known;
    }
    if (this.#files.size >= MAX_OPEN_FILES) {
      for (const [oldest, file] of this.#files) {
        this.#endFile(oldest, file, undefined);
        break;
      }
    }
    const file = this.#act('file', text, at, timeMs);
    this.#files.set(key, file);
    return file;
  }

  #endFile(key: string, file: OpenAct, timeMs: number | undefined): void {
    this.#files.delete(key);
    this.#options.onEnd(file.finish(timeMs, undefined));
  }

  /** Once: by the gateway's decision, or where the recording ends without one. */
  #endNotCarried(act: OpenAct, timeMs: number | undefined): void {
    if (this.#acts.delete(act.at)) {
      this.#options.onEnd(act.finish(timeMs, undefined));
    }
  }

  #close(channel: OpenChannel, timeMs: number): void {
    this.#endAct(channel, timeMs);
    this.#channels.delete(channel.channel);
  }

  /** Those that the gateway has said nothing more of. */
  #endClosed(): void {
    for (const channel of this.#channels.values()) {
      if (channel.closedMs !== undefined) {
        this.#close(channel, channel.closedMs);
      }
    }
  }

  #endAct(channel: OpenChannel, timeMs: number | undefined): void {
    const { act } = channel;
    if (act !== undefined) {
      channel.act = undefined;
      this.#acts.delete(act.at);
      this.#options.onEnd(act.finish(timeMs, channel.facts()));
    }
  }
}

/** Nothing is recorded of these but that they were allowed. */
const ONLY_DECIDED = new Set(['sftp stat', 'sftp list', 'sftp readlink']);

/** A file that is opened to read and to write is decided about twice, and is one. */
function keyOf(at: number, operation: string, path: string | undefined): string {
  const kind = operation === 'read' || operation === 'write' ? 'open' : operation;
  return `${at} ${kind} ${path ?? ''}`;
}

function operationOf(verb: string | undefined): string {
  return (verb ?? '').replace(/^sftp /, '');
}

/** Of what a decision is about when its bytes say nothing to us: `sftp read /etc/hosts`. */
function textOf({ verbs, relations }: DecisionEvent): string {
  const operation = verbs.map(operationOf).join(', ');
  return `${operation} ${relations.join(' ')}`.trim();
}
