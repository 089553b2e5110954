/**
 * A channel of the kind `session` (RFC 4254 §6): at most one shell, command or subsystem runs in it.
 *
 *   client               gateway                                target
 *     open ────────────▶  open ────────────────────────────────▶
 *     env, pty-req ────▶  passed? ─────────────────────────────▶
 *     exec ────────────▶  decide ── allowed: recorded, then ───▶ exec
 *                              ├─ held: people decide
 *                              └─ refused: stderr, exit 126, close
 *     data ────────────▶  (waits until something runs) ────────▶
 *     ◀──────────────────  everything that the target says, in its order
 */

import { ProtocolError } from '../../../errors.ts';
import { operation } from '../../../gateway/audit/stream-audit.ts';
import type { Refusal } from '../../../policy/types.ts';
import { after } from '../../../soon.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import { CHANNEL_WINDOW_BYTES, type ChannelRequest } from '../protocol/frame.ts';
import { type ActHold, heldLines } from './act-hold.ts';
import { verbOf } from './act-words.ts';
import { type ChannelExit, exitFields, exitText } from './channel-exit.ts';
import { ChannelFlow } from './channel-flow.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { isPassed } from './environment.ts';
import { NOW_HELD, REFUSED_STATUS, refusalText, stderrLines } from './refusal-text.ts';
import { ReplyOrder } from './reply-order.ts';
import { SftpSession } from './sftp/sftp-session.ts';
import { actOf, type StartRequest, unknownSubsystem } from './start-request.ts';
import type { ChannelContext, StreamChannel } from './stream-channel.ts';
import type { TargetChannel } from './target-channels.ts';

/** Names of dropped variables that are recorded. */
const MAX_DROPPED = 32;
/** Signals with which people and programs end what they have started. */
const ENDING_SIGNALS: ReadonlySet<string> = new Set(['HUP', 'INT', 'KILL', 'QUIT', 'TERM', 'PIPE']);
/** What a terminal sends for Ctrl-C. */
const CTRL_C = 0x03;

export class SessionChannel implements StreamChannel {
  readonly #context: ChannelContext;
  readonly #flow: ChannelFlow;
  readonly #replies: ReplyOrder;
  #target: TargetChannel | undefined;
  #state: 'opening' | 'open' | 'failed' = 'opening';
  #started: 'no' | 'deciding' | 'running' | 'refused' = 'no';
  #hold: ActHold | undefined;
  /** Of its decision. */
  #statement: number | undefined;
  /** performance.now() */
  #runningSince = 0;
  #startedAt = 0;
  /** What runs, and whether people have approved it. */
  #running: { readonly act: SshAct; readonly isApproved: boolean } | undefined;
  #hasPty = false;
  /** What came before anything runs, with its places; within the credit. */
  readonly #early = new ChunkQueue();
  #sftp: SftpSession | undefined;
  #hasEnded = false;
  #hasClosed = false;
  #isFinished = false;
  #exit: ChannelExit;
  readonly #dropped: string[] = [];

  constructor(context: ChannelContext) {
    const { number, window, write, targets } = context;
    this.#context = context;
    this.#flow = new ChannelFlow({ number, window, write, isTargetFull: () => targets.isFull });
    this.#replies = new ReplyOrder((isSuccess) =>
      this.#flow.send({ type: isSuccess ? 'success' : 'failure', channel: number }),
    );
    targets.open({ kind: 'session' }, this.#flow.firstWindow, {
      opened: (channel) => this.#opened(channel),
      openFailed: (reason, message) => {
        this.#state = 'failed';
        write({ type: 'openFailed', channel: number, reason, message: message.slice(0, 1000) });
        context.onOver();
      },
      data: (bytes) => this.#fromTarget(bytes),
      stderr: (bytes) => this.#flow.fromTarget('stderr', bytes),
      window: () => this.#flow.flushUp(),
      exitStatus: (status) => {
        this.#exit = { status };
        this.#flow.send({ type: 'exitStatus', channel: number, status });
      },
      exitSignal: (signal) => {
        this.#exit = signal;
        this.#flow.send({ type: 'exitSignal', channel: number, ...signal });
      },
      eof: () => this.#flow.send({ type: 'eof', channel: number }),
      closed: () => this.#targetClosed(),
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isOver(): boolean {
    return this.#state === 'failed' || (this.#hasClosed && this.#flow.hasSentClose);
  }

  /** A command may be silent for hours; of a shell nobody knows whether it only waits at its prompt. */
  get isBusy(): boolean {
    return this.#started === 'running' && this.#running?.act.kind === 'exec' && !this.#isLeft;
  }

  /** Nothing starts in it any more. */
  get #isLeft(): boolean {
    return this.#flow.hasSentClose || this.#hasClosed || this.#isFinished;
  }

  request(request: ChannelRequest, wantReply: boolean, at: number): void {
    if (this.#hasClosed) {
      throw new ProtocolError('the client asked for something after its close');
    }
    const reply = wantReply ? this.#replies.next() : undefined;
    if (this.#flow.hasSentClose) {
      return;
    }
    switch (request.kind) {
      case 'shell':
      case 'exec':
      case 'subsystem':
        this.#start(request, reply, at);
        return;
      case 'env':
        if (!isPassed(request.name, request.value)) {
          this.#dropped.push(...(this.#dropped.length < MAX_DROPPED ? [request.name] : []));
          reply?.(false);
          return;
        }
        break;
      case 'pty-req':
        this.#hasPty = true;
        break;
      case 'signal':
        if (this.#hold !== undefined && ENDING_SIGNALS.has(request.name)) {
          this.#hold.withdraw('a signal ended it');
          reply?.(true);
          return;
        }
        break;
      case 'window-change':
      case 'break':
      case 'eow':
        break;
    }
    this.#target?.request(request, reply);
  }

  data(bytes: Uint8Array, at: number): void {
    if (this.#hasEnded) {
      throw new ProtocolError('the client sent data after its end');
    }
    this.#flow.received(bytes.length);
    if (this.#flow.hasSentClose) {
      return;
    }
    if (this.#hold !== undefined && this.#hasPty && bytes.includes(CTRL_C)) {
      this.#hold.withdraw('Ctrl-C');
      return;
    }
    if (this.#sftp !== undefined) {
      this.#sftp.inspector.fromClient(bytes, at);
    } else if (this.#started === 'running') {
      this.#flow.toTarget(bytes);
    } else {
      this.#early.push(Uint8Array.from(bytes), at);
    }
  }

  window(bytes: number): void {
    this.#flow.granted(bytes);
  }

  eof(): void {
    if (this.#hasEnded) {
      throw new ProtocolError('the client ended a channel twice');
    }
    this.#hasEnded = true;
    if (this.#sftp === undefined) {
      this.#flow.endUp();
    } else {
      this.#sftp.inspector.clientEof();
    }
  }

  close(): void {
    this.#hasClosed = true;
    this.#hold?.withdraw('the client closed the channel');
    this.#sftp?.end('the client closed the channel');
    this.#early.clear();
    this.#flow.drop();
    this.#target?.close();
    this.#mayBeOver();
  }

  flush(): void {
    this.#flow.flushUp();
  }

  reconsider(): void {
    const running = this.#running;
    if (running === undefined || this.#isLeft) {
      return;
    }
    this.#whenJudged(running.act, (verdict) => {
      if (this.#running === running) this.#reconsidered(running, verdict);
    });
  }

  /** Unless the channel is left meanwhile. */
  #whenJudged(act: SshAct, next: (verdict: SshVerdict) => void): void {
    const judged = after(this.#context.judge(act), (verdict) => {
      if (!this.#isLeft) next(verdict);
    });
    if (judged instanceof Promise) {
      judged.catch((error: unknown) => this.#context.fail(error));
    }
  }

  #reconsidered(running: { readonly isApproved: boolean }, verdict: SshVerdict): void {
    const refusal =
      verdict.effect === 'refuse'
        ? verdict.refusal
        : verdict.approvals !== undefined && !running.isApproved
          ? NOW_HELD
          : this.#sftp?.reconsider();
    if (refusal !== undefined) {
      const why = { ...refusal, message: `ended, because access has changed: ${refusal.message}` };
      // What does not listen to a terminal, or to its input, hears this.
      this.#target?.request({ kind: 'signal', name: 'TERM' });
      this.#leave([refusalText(why, this.#hasPty)]);
      this.#sftp?.end('access has changed');
    }
  }

  end(message: string): void {
    this.#hold?.withdraw('the session ended');
    if (this.#started === 'running' || this.#started === 'deciding') {
      this.#flow.say('stderr', stderrLines([`hoop: ${message}`], this.#hasPty));
    }
    this.#flow.send({ type: 'close', channel: this.#context.number });
    this.finish();
  }

  finish(): void {
    if (this.#isFinished || this.#state !== 'open') {
      return;
    }
    this.#isFinished = true;
    this.#hold?.withdraw('the connection ended');
    this.#sftp?.end('the connection ended');
    const { audit, number, at } = this.#context;
    const exit = this.#exit;
    if (this.#statement !== undefined) {
      const { up, down, stderr } = this.#flow.totals;
      const us = Math.round((performance.now() - this.#runningSince) * 1000);
      const outcome = { tag: exitText(exit), bytes: down + stderr, upBytes: up, us };
      audit.ended(this.#startedAt, this.#statement, outcome);
    }
    audit.tell({
      type: 'ssh.channel',
      stream: audit.stream,
      channel: number,
      at,
      ...this.#flow.totals,
      ...exitFields(exit),
      ...(this.#dropped.length === 0 ? {} : { dropped: this.#dropped }),
    });
  }

  #opened(channel: TargetChannel): void {
    this.#state = 'open';
    this.#target = channel;
    this.#flow.attach(channel);
    const { number, write } = this.#context;
    write({ type: 'opened', channel: number, window: CHANNEL_WINDOW_BYTES });
  }

  #fromTarget(bytes: Buffer): void {
    if (this.#sftp === undefined) {
      this.#flow.fromTarget('data', bytes);
    } else {
      this.#sftp.inspector.fromTarget(bytes);
      this.#flow.taken(bytes.length);
    }
  }

  #targetClosed(): void {
    this.#sftp?.end('the server closed the channel');
    this.#flow.send({ type: 'close', channel: this.#context.number });
    this.#mayBeOver();
  }

  #mayBeOver(): void {
    if (this.isOver) {
      this.finish();
      this.#context.onOver();
    }
  }

  #start(
    request: StartRequest,
    reply: ((isSuccess: boolean) => void) | undefined,
    at: number,
  ): void {
    if (this.#started !== 'no') {
      reply?.(false);
      return;
    }
    this.#started = 'deciding';
    const act = actOf(request);
    if (typeof act === 'string') {
      const refusal = unknownSubsystem(act);
      this.#context.audit.refused(
        at,
        operation(`subsystem ${act.slice(0, 60)}`, { refusal }),
        refusal,
      );
      this.#refuse(refusal, reply);
      return;
    }
    this.#whenJudged(act, (verdict) => this.#judged({ request, act, verdict, at }, reply));
  }

  #judged(
    judged: {
      readonly request: StartRequest;
      readonly act: SshAct;
      readonly verdict: SshVerdict;
      readonly at: number;
    },
    reply: ((isSuccess: boolean) => void) | undefined,
  ): void {
    const { request, act, verdict, at } = judged;
    if (verdict.effect === 'refuse') {
      this.#context.audit.refused(at, operation(verbOf(act), verdict), verdict.refusal);
      this.#refuse(verdict.refusal, reply);
    } else if (verdict.approvals === undefined) {
      this.#statement = this.#context.audit.allowed(at, operation(verbOf(act), verdict));
      this.#runningSince = performance.now();
      this.#running = { act, isApproved: false };
      this.#run(request, verdict, reply, at);
    } else {
      this.#ask(request, act, reply, at);
    }
  }

  #run(
    request: StartRequest,
    verdict: Extract<SshVerdict, { effect: 'allow' }>,
    reply: ((isSuccess: boolean) => void) | undefined,
    at: number,
  ): void {
    this.#started = 'running';
    this.#startedAt = at;
    this.#context.audit.write();
    if (request.kind === 'subsystem') {
      this.#inspect();
    } else {
      for (let early = this.#early.shift(); early; early = this.#early.shift()) {
        this.#flow.toTarget(early.bytes);
      }
    }
    const sent: StartRequest =
      request.kind === 'exec' && verdict.command !== undefined
        ? { kind: 'exec', command: Buffer.from(verdict.command) }
        : request;
    this.#target?.request(sent, (isSuccess) => {
      reply?.(isSuccess);
      if (isSuccess) {
        this.#flow.openGate();
      }
    });
  }

  /** Looks into everything from the first byte on, also what came while it was decided. */
  #inspect(): void {
    const flow = this.#flow;
    const sftp = new SftpSession({
      context: this.#context,
      flow,
      fail: (error) => this.#leave([stderrLines([`hoop: ${error.message}`], false)]),
    });
    this.#sftp = sftp;
    flow.inspect(sftp.inspector);
    for (let early = this.#early.shift(); early; early = this.#early.shift()) {
      sftp.inspector.fromClient(early.bytes, early.at);
    }
    if (this.#hasEnded) {
      sftp.inspector.clientEof();
    }
  }

  #ask(
    request: StartRequest,
    act: SshAct,
    reply: ((isSuccess: boolean) => void) | undefined,
    at: number,
  ): void {
    const hold = this.#context.hold(act, at);
    this.#hold = hold;
    // OpenSSH shows nothing of a channel before its request was answered.
    reply?.(true);
    hold
      .pass((text) => this.#flow.say('stderr', stderrLines(heldLines(text), this.#hasPty)))
      .then((outcome) => {
        this.#hold = undefined;
        if (this.#isLeft) {
          return;
        }
        if (outcome.type === 'released') {
          this.#statement = this.#context.audit.allowed(
            at,
            operation(verbOf(act), outcome.verdict),
          );
          this.#runningSince = performance.now();
          this.#running = { act, isApproved: true };
          this.#run(request, outcome.verdict, undefined, at);
        } else if (outcome.type === 'refused') {
          this.#context.audit.refused(at, operation(verbOf(act), outcome), outcome.refusal);
          this.#refuse(outcome.refusal, undefined);
        } else {
          this.#leave([]);
        }
      })
      .catch((error: unknown) => this.#context.fail(error));
  }

  /** The request counts as granted, or nobody would see the text and the status. */
  #refuse(refusal: Refusal, reply: ((isSuccess: boolean) => void) | undefined): void {
    reply?.(true);
    this.#started = 'refused';
    this.#leave([refusalText(refusal, this.#hasPty)]);
  }

  #leave(texts: readonly Uint8Array[]): void {
    const channel = this.#context.number;
    for (const text of texts) {
      this.#flow.say('stderr', text);
    }
    this.#exit = { status: REFUSED_STATUS };
    this.#flow.send({ type: 'exitStatus', channel, status: REFUSED_STATUS });
    this.#flow.send({ type: 'eof', channel });
    this.#flow.send({ type: 'close', channel });
    this.#early.clear();
    this.#flow.dropUp();
    this.#target?.close();
    this.#mayBeOver();
  }
}
