/** The client's end of the upgrade that opens the connection for a session's streams. */
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { RecordArena } from '../carrier/record-arena.ts';
import { StreamConnection } from '../carrier/stream-connection.ts';
import {
  encodeStreamRequest,
  type ReplyHead,
  readReplyHead,
  STREAM_PROTOCOL,
} from '../carrier/stream-upgrade.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { describeNetworkError } from '../client/network-error.ts';
import { HELLO } from '../protocol/carrier/frames.ts';
import { openThroughProxy } from '../proxy-connection.ts';
import { onAbort } from '../until.ts';

const CONNECT_WITHIN_MS = 10_000;
/** From the request to the hello. A middlebox may swallow what it does not know. */
const ANSWER_WITHIN_MS = 5_000;
/** How long the gateway may take to answer an end. */
const END_WITHIN_MS = 30_000;
/** The body of a refusal; more is not read. */
const MAX_REFUSAL_BYTES = 64 * 1024;

export type StreamUpgrade =
  | { readonly type: 'open'; readonly connection: StreamConnection }
  /** The gateway has understood the upgrade, and says no. */
  | {
      readonly type: 'refused';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Uint8Array;
    }
  /** An older gateway, or something on the way that does not let it through. */
  | { readonly type: 'impassable'; readonly because: string };

/** What an upgrade needs of the gateway's client. */
export type UpgradeClient = Pick<
  GatewayClient,
  'baseUrl' | 'ca' | 'userAgent' | 'authHeaders' | 'upgradeRefused' | 'webSocketUrl'
>;

export interface StreamUpgradeRequest {
  readonly client: UpgradeClient;
  readonly path: string;
  /** Milliseconds; for tests. */
  readonly answerWithinMs?: number | undefined;
}

/** @throws HoopError HOOP_UNREACHABLE, HOOP_GATEWAY_TLS when there is no connection at all. */
export async function openStreamConnection(
  { client, path, answerWithinMs }: StreamUpgradeRequest,
  signal: AbortSignal,
): Promise<StreamUpgrade> {
  signal.throwIfAborted();
  const url = new URL(client.baseUrl);
  const headers = await client.authHeaders('GET', `${client.baseUrl}${path}`, signal);
  const request = encodeStreamRequest(path, {
    host: url.host,
    'user-agent': client.userAgent,
    ...headers,
  });

  const through = await openThroughProxy(url);
  const reply = new UpgradeReply();
  let receive = (bytes: Buffer): void => reply.add(bytes);
  const arena = new RecordArena((bytes) => receive(bytes));
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // Not a literal in the call: the published types lack onread, which the manual has.
  const options = {
    host,
    port: Number(url.port || 443),
    ...(through === undefined ? {} : { socket: through }),
    ...(isIP(host) ? {} : { servername: host }),
    ...(client.ca === undefined ? {} : { ca: client.ca }),
    ALPNProtocols: ['http/1.1'],
    onread: { buffer: arena.buffer, callback: arena.filled },
  };
  const socket = connect(options);
  socket.setNoDelay(true);
  using _ = onAbort(signal, () => socket.destroy());
  try {
    await connected(socket);
    socket.write(request);
    // Without a reader of its own the end of the connection would not be seen.
    socket.resume();
    const timer = setTimeout(
      () => reply.fail('there was no answer to the upgrade'),
      answerWithinMs ?? ANSWER_WITHIN_MS,
    );
    const onClose = (): void => {
      arena.deliver();
      reply.end();
    };
    socket.on('end', onClose).on('close', onClose);
    const answer = await reply.complete.finally(() => clearTimeout(timer));
    socket.off('end', onClose).off('close', onClose);
    signal.throwIfAborted();
    if (answer.type !== 'switched') {
      socket.destroy();
      return answer;
    }
    // Before the connection's own listeners: the last bytes first, then the end.
    socket.on('end', () => arena.deliver()).on('close', () => arena.deliver());
    const connection = new StreamConnection({ socket, endWithinMs: END_WITHIN_MS });
    receive = (bytes) => connection.receive(bytes);
    connection.receive(answer.rest);
    return { type: 'open', connection };
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw describeNetworkError(client.baseUrl, error);
  }
}

/** Resolves when the gateway's certificate has been checked. */
async function connected(socket: TLSSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })),
    CONNECT_WITHIN_MS,
  );
  socket
    .once('secureConnect', resolve)
    .once('error', reject)
    .once('close', () => reject(new Error('closed')));
  // An error after this is followed by 'close', which is looked at.
  socket.on('error', () => undefined);
  await promise.finally(() => clearTimeout(timer));
}

type Answer =
  | { readonly type: 'switched'; readonly rest: Buffer }
  | Exclude<StreamUpgrade, { type: 'open' }>;

/** Collects the gateway's reply, which may come in any pieces. */
class UpgradeReply {
  readonly #complete = Promise.withResolvers<Answer>();
  #bytes = Buffer.alloc(0);
  #head: ReplyHead | undefined;

  get complete(): Promise<Answer> {
    return this.#complete.promise;
  }

  add(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    try {
      this.#head ??= readReplyHead(this.#bytes);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#head === undefined) {
      return;
    }
    const { status, headers, length } = this.#head;
    const rest = this.#bytes.subarray(length);
    if (status !== 101) {
      const expected = Number(headers['content-length'] ?? MAX_REFUSAL_BYTES);
      if (rest.length >= Math.min(expected, MAX_REFUSAL_BYTES)) {
        this.end();
      }
      return;
    }
    if (headers['upgrade'] !== STREAM_PROTOCOL) {
      this.fail('the upgrade was answered with another protocol');
    } else if (!rest.subarray(0, HELLO.length).equals(HELLO.subarray(0, rest.length))) {
      this.fail('what follows the upgrade is not what the gateway sends');
    } else if (rest.length >= HELLO.length) {
      this.#complete.resolve({ type: 'switched', rest: rest.subarray(HELLO.length) });
    }
  }

  /** There is no more of it. */
  end(): void {
    const head = this.#head;
    if (head === undefined || head.status === 101) {
      this.fail('the connection was closed without an answer to the upgrade');
    } else if (head.headers['upgrade'] === STREAM_PROTOCOL) {
      const body = this.#bytes.subarray(head.length);
      this.#complete.resolve({ type: 'refused', status: head.status, headers: head.headers, body });
    } else {
      this.fail(`the upgrade was answered with status ${head.status}`);
    }
  }

  fail(because: string): void {
    this.#complete.resolve({ type: 'impassable', because });
  }
}
