/**
 * A channel of the kind `direct-tcpip` (RFC 4254 §7.2): a connection that the target makes, to an
 * address that the gateway has found and the policy has allowed.
 */

import { HoopError, ProtocolError } from '../../../errors.ts';
import { operation } from '../../../gateway/audit/stream-audit.ts';
import { plainText } from '../../../gateway/base/plain-text.ts';
import { plainRefusal } from '../../../policy/refusal.ts';
import type { Refusal } from '../../../policy/types.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import { CHANNEL_WINDOW_BYTES, type ChannelTarget } from '../protocol/frame.ts';
import { verbOf } from './act-words.ts';
import { ChannelFlow } from './channel-flow.ts';
import {
  type ForwardDestination,
  forwardAddresses,
  forwardDestination,
  refusedAddress,
} from './forward-destination.ts';
import type { OwnPlaces } from './server-addresses.ts';
import type { ChannelContext, StreamChannel } from './stream-channel.ts';
import type { TargetChannel } from './target-channels.ts';

type Destination = Extract<ChannelTarget, { kind: 'direct-tcpip' }>;

/** RFC 4254 §5.1. */
const PROHIBITED = 1;
const CONNECT_FAILED = 2;
const MAX_MESSAGE = 1000;

export class ForwardChannel implements StreamChannel {
  readonly #context: ChannelContext;
  readonly #flow: ChannelFlow;
  #target: TargetChannel | undefined;
  #state: 'opening' | 'open' | 'failed' = 'opening';
  /** Of its decision. */
  #statement: number | undefined;
  /** performance.now() */
  #runningSince = 0;
  /** What was dialled. */
  #reached: string | undefined;
  /** What was decided. */
  #destination: ForwardDestination | undefined;
  /** What was known of the server then. */
  #own: OwnPlaces | undefined;
  /** Where it leads, of those that were found. */
  #address: string | undefined;
  #hasEnded = false;
  #hasClosed = false;
  #isFinished = false;

  constructor(context: ChannelContext, destination: Destination) {
    const { number, window, write, targets } = context;
    this.#context = context;
    this.#flow = new ChannelFlow({ number, window, write, isTargetFull: () => targets.isFull });
    this.#connect(destination).catch((error: unknown) => {
      if (error instanceof HoopError && !(error instanceof ProtocolError)) {
        this.#refuse(error);
      } else {
        context.fail(error);
      }
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isOver(): boolean {
    return this.#state === 'failed' || (this.#hasClosed && this.#flow.hasSentClose);
  }

  /** What passes says whether it is in use. */
  readonly isBusy = false;

  request(): void {
    throw new ProtocolError('a forwarded connection takes no requests');
  }

  data(bytes: Uint8Array): void {
    if (this.#hasEnded) {
      throw new ProtocolError('the client sent data after its end');
    }
    this.#flow.received(bytes.length);
    if (!this.#flow.hasSentClose) {
      this.#flow.toTarget(bytes);
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
    this.#flow.endUp();
  }

  close(): void {
    this.#hasClosed = true;
    this.#flow.drop();
    this.#target?.close();
    this.#mayBeOver();
  }

  flush(): void {
    this.#flow.flushUp();
  }

  reconsider(): void {
    if (this.#state === 'open' && !this.#flow.hasSentClose && !this.#isAllowed()) {
      this.#flow.send({ type: 'close', channel: this.#context.number });
      this.#flow.dropUp();
      this.#target?.close();
      this.#mayBeOver();
    }
  }

  end(): void {
    this.#flow.send({ type: 'close', channel: this.#context.number });
    this.finish();
  }

  finish(): void {
    if (this.#isFinished || this.#state !== 'open') {
      return;
    }
    this.#isFinished = true;
    const { audit, number, at } = this.#context;
    if (this.#statement !== undefined) {
      const { up, down } = this.#flow.totals;
      const us = Math.round((performance.now() - this.#runningSince) * 1000);
      audit.ended(at, this.#statement, { tag: this.#reached, bytes: down, upBytes: up, us });
    }
    const { stream } = audit;
    audit.tell({ type: 'ssh.channel', stream, channel: number, at, ...this.#flow.totals });
  }

  #isAllowed(): boolean {
    const destination = this.#destination;
    const address = this.#address;
    const own = this.#own;
    if (destination === undefined || address === undefined || own === undefined) {
      return true;
    }
    const { decide, grant, user } = this.#context;
    const verdict = decide({ kind: 'forward', ...destination });
    return (
      verdict.effect !== 'refuse' &&
      verdict.approvals === undefined &&
      refusedAddress(grant(), user, { address, destination, own }) === undefined
    );
  }

  async #connect(asked: Destination): Promise<void> {
    const { at, audit, grant, user, server, resolver, signal } = this.#context;
    const act: SshAct = { kind: 'forward', host: asked.host, port: asked.port };
    const place = `${plainText(asked.host, MAX_MESSAGE)}:${asked.port}`;
    let addresses: readonly string[];
    try {
      let own = await server.known();
      let { destination, verdict, isByName } = this.#decide(asked, own);
      if (!isByName) {
        own = (await server.all()) ?? unknownServer();
        ({ destination, verdict, isByName } = this.#decide(asked, own));
      }
      addresses = await forwardAddresses({
        ...{ destination, grant: grant(), user, own, resolver, signal },
      });
      signal.throwIfAborted();
      this.#statement = audit.allowed(at, operation(verbOf(act), verdict));
      this.#runningSince = performance.now();
      this.#destination = destination;
      this.#own = own;
      audit.write();
    } catch (error) {
      if (error instanceof HoopError && !signal.aborted) {
        const refusal = error instanceof RefusedForward ? error.refusal : refusalOf(error);
        audit.refused(at, operation(verbOf(act), { touches: [place], refusal }), refusal);
      }
      throw error;
    }
    await this.#dialFirst(addresses, asked);
  }

  /** @throws HoopError */
  #decide(asked: Destination, own: OwnPlaces): DecidedForward {
    const { decide } = this.#context;
    const destination = forwardDestination(asked.host, asked.port, own);
    const verdict = decide({ kind: 'forward', ...destination });
    if (verdict.effect === 'refuse') throw new RefusedForward(verdict.refusal);
    const place = `${plainText(asked.host, MAX_MESSAGE)}:${asked.port}`;
    if (verdict.approvals !== undefined) {
      throw new HoopError('HOOP_APPROVAL_UNAVAILABLE', `a forward to ${place} cannot wait`, {
        hint: 'The rule must be changed to allow it, or to give access on request.',
      });
    }
    const asServer = decide({ kind: 'forward', ...destination, isServer: true });
    const isByName = asServer.effect === 'allow' && asServer.approvals === undefined;
    return { destination, verdict, isByName };
  }

  async #dialFirst(addresses: readonly string[], asked: Destination): Promise<void> {
    let said = '';
    for (const address of addresses) {
      const failure = await this.#dial(address, asked);
      if (failure === undefined) {
        return;
      }
      said = failure;
    }
    throw new HoopError(
      'HOOP_TARGET_UNREACHABLE',
      `the target could not connect to ${asked.host}:${asked.port}`,
      { detail: plainText(said, MAX_MESSAGE) },
    );
  }

  /** @returns why it failed; undefined: it is open */
  #dial(address: string, asked: Destination): Promise<string | undefined> {
    const { number, targets, write } = this.#context;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    targets.open({ ...asked, host: address }, this.#flow.firstWindow, {
      opened: (channel) => {
        this.#state = 'open';
        this.#target = channel;
        this.#address = address;
        this.#reached = `${address}:${asked.port}`;
        this.#flow.attach(channel);
        // At once: the other end may speak first.
        write({ type: 'opened', channel: number, window: CHANNEL_WINDOW_BYTES });
        this.#flow.openGate();
        resolve(undefined);
        // Names and connections take their time, and the grant may be another one by now.
        this.reconsider();
      },
      openFailed: (_reason, message) => resolve(message || 'it was refused'),
      data: (bytes) => this.#flow.fromTarget('data', bytes),
      stderr: (bytes) => this.#flow.fromTarget('stderr', bytes),
      window: () => this.#flow.flushUp(),
      exitStatus: () => undefined,
      exitSignal: () => undefined,
      eof: () => this.#flow.send({ type: 'eof', channel: number }),
      closed: () => {
        this.#flow.send({ type: 'close', channel: number });
        this.#mayBeOver();
      },
    });
    return promise;
  }

  #refuse(error: HoopError): void {
    const { number, write, onOver, signal } = this.#context;
    this.#state = 'failed';
    if (!signal.aborted) {
      const isUnreachable = error.code === 'HOOP_TARGET_UNREACHABLE';
      const parts = [error.message, error.detail, error.hint].filter(Boolean);
      write({
        type: 'openFailed',
        channel: number,
        reason: isUnreachable ? CONNECT_FAILED : PROHIBITED,
        message: plainText(`hoop: ${parts.join('; ')}`, MAX_MESSAGE),
      });
    }
    onOver();
  }

  #mayBeOver(): void {
    if (this.isOver) {
      this.finish();
      this.#context.onOver();
    }
  }
}

interface DecidedForward {
  readonly destination: ForwardDestination;
  readonly verdict: Extract<SshVerdict, { effect: 'allow' }>;
  /** It would be allowed if it were the server itself, too. */
  readonly isByName: boolean;
}

class RefusedForward extends HoopError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    const { code, message, detail, hint } = refusal;
    super(code, message, { detail, hint });
    this.refusal = refusal;
  }
}

function unknownServer(): never {
  throw new HoopError('HOOP_NOT_ALLOWED', 'this forward is not allowed by policy', {
    detail:
      'Only a "*" allows it, which never means the server itself, and the gateway cannot determine the server\'s own addresses: it reads them over sftp, on Linux.',
    hint: 'Name the destination in a rule, or list the target’s ownAddresses in the policy.',
  });
}

/** Where no rule was asked. */
function refusalOf({ code, message, detail, hint }: HoopError): Refusal {
  const isKnown = code === 'HOOP_DENIED' || code === 'HOOP_APPROVAL_UNAVAILABLE';
  return plainRefusal({
    code: isKnown ? code : 'HOOP_NOT_ALLOWED',
    message,
    detail,
    hint,
  });
}
