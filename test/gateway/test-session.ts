/** The client's end of a session without the CLI: control channel, streams, its own recording. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { ToClient } from '../../src/api/control.ts';
import { API_VERSION, PATHS } from '../../src/api/http.ts';
import type { SessionReply, SessionRequest } from '../../src/api/sessions.ts';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import type { GatewayClient } from '../../src/client/gateway-client.ts';
import { encodeQuery } from '../../src/connectors/postgres/protocol/frontend-messages.ts';
import { encodeStartupMessage } from '../../src/connectors/postgres/protocol/startup-packet.ts';
import { ClientRecording } from '../../src/recording/client/client-recording.ts';
import { generateSigningKey, type SigningKey } from '../../src/recording/keys/ed25519.ts';
import { signProof } from '../../src/recording/keys/proof-of-possession.ts';
import type { StreamKind } from '../../src/stream-kinds.ts';
import { StreamOpener } from '../../src/tunnel/stream-opener.ts';
import type { CarrierKind } from './carrier-pair.ts';
import type { GatewayBench } from './gateway-bench.ts';

export interface RequestChanges {
  readonly target?: string;
  readonly reason?: string;
  readonly policyCommit?: string;
  readonly serverNonce?: string;
  readonly clientKey?: string;
  readonly proof?: string;
}

/** Asks for a session as the CLI does, with what a test wants to be wrong. */
export async function requestSession(
  bench: GatewayBench,
  account: string | GatewayClient,
  changes: RequestChanges = {},
): Promise<{ reply: SessionReply; key: SigningKey; client: GatewayClient }> {
  const client = typeof account === 'string' ? await bench.client(account) : account;
  const { request, key } = await sessionRequest(bench, client, changes);
  return { reply: await client.startSession(request, bench.signal), key, client };
}

/** The request, not sent. */
export async function sessionRequest(
  bench: GatewayBench,
  client: GatewayClient,
  changes: RequestChanges = {},
): Promise<{ request: SessionRequest; key: SigningKey }> {
  const policy = await client.policy(bench.signal);
  const key = generateSigningKey();
  const { proof, ...fields } = changes;
  const hello = {
    v: API_VERSION,
    target: 'prod-db',
    clientKey: Buffer.from(key.publicKey).toString('base64'),
    clientNonce: randomBytes(16).toString('base64'),
    serverNonce: policy.sessionNonce,
    policyCommit: policy.commit,
    cli: { version: '0.0.0-test' },
    ...fields,
  } as const;
  const signed = signProof(key, {
    hello,
    serverNonce: hello.serverNonce,
    exporter: new Uint8Array(),
  });
  const request = { ...hello, proof: proof ?? signed };
  return { request, key };
}

/** A WebSocket of the session, open. @throws Error with the status of a refused upgrade. */
export async function openSocket(
  bench: GatewayBench,
  client: GatewayClient,
  path: string,
): Promise<WebSocket> {
  const url = client.webSocketUrl(path);
  const headers = await client.authHeaders('GET', url, bench.signal);
  const socket = new WebSocket(url, { ca: bench.ca, headers, perMessageDeflate: false });
  await once(socket, 'open');
  return socket;
}

/** A stream's carrier, open. @throws HoopError what the gateway says */
export async function openCarrier(
  bench: GatewayBench,
  client: GatewayClient,
  wanted: {
    readonly session: string;
    readonly stream: number;
    readonly of?: string;
    readonly kind: CarrierKind;
  },
): Promise<StreamCarrier> {
  const opener = new StreamOpener({
    client,
    session: wanted.session,
    choice: wanted.kind === 'websocket' ? 'websocket' : 'auto',
    onFallback: (because) => {
      throw new Error(because);
    },
  });
  return opener.open(wanted.stream, wanted.of ?? 'postgres', bench.signal);
}

export class TestSession {
  readonly id: string;
  readonly reply: SessionReply;
  readonly recording: ClientRecording;
  readonly messages: ToClient[] = [];
  readonly control: WebSocket;
  readonly #bench: GatewayBench;
  readonly #client: GatewayClient;
  readonly #streams = new Map<number, Promise<unknown>>();
  readonly #closed: Promise<unknown>;
  readonly #spools: string;
  #evidence = '';

  private constructor(from: {
    bench: GatewayBench;
    client: GatewayClient;
    reply: SessionReply;
    control: WebSocket;
    recording: ClientRecording;
    spools: string;
  }) {
    this.#spools = from.spools;
    this.id = from.reply.session;
    this.reply = from.reply;
    this.recording = from.recording;
    this.control = from.control;
    this.#bench = from.bench;
    this.#client = from.client;
    this.#closed = once(this.control, 'close');
    this.control.on('message', (data, isBinary) => this.#received(data, isBinary));
  }

  static async open(
    bench: GatewayBench,
    account: string | GatewayClient,
    changes: RequestChanges = {},
  ): Promise<TestSession> {
    const { reply, key, client } = await requestSession(bench, account, changes);
    const info = await client.info(bench.signal);
    let control: WebSocket | undefined;
    const whose = typeof account === 'string' ? account : 'run';
    const spools = join(bench.directory, 'spools', whose);
    const recording = await ClientRecording.create({
      directory: spools,
      session: reply.session,
      gatewayUrl: client.baseUrl,
      certificate: reply.certificate,
      keyring: info.keyring,
      rootKey: Buffer.from(info.rootKey, 'base64'),
      saltKey: Buffer.from(reply.saltKey, 'base64'),
      sessionKey: key,
      proposeCut: (cut) => {
        if (control?.readyState === WebSocket.OPEN) {
          control.send(JSON.stringify({ type: 'cut', cut }));
        }
      },
    });
    // Last: its first message may come with the upgrade, and must find its listener.
    control = await openSocket(bench, client, PATHS.control(reply.session));
    return new TestSession({ bench, client, reply, control, recording, spools });
  }

  /** Where the recordings of this account's sessions are. */
  get spools(): string {
    return this.#spools;
  }

  /** Lines of stream 0 so far. */
  get evidence(): { type: string; reason?: string; code?: string; text?: string }[] {
    const lines = this.#evidence.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line));
  }

  /** Bytes on stream 0, as they are. */
  say(bytes: Uint8Array | string): void {
    const said = Buffer.from(bytes);
    this.recording.data(0, 0, [said]);
    this.control.send(said, { binary: true });
  }

  /** Resolves when the gateway has this many bytes of stream 0 on its disk. */
  async recorded(up: number): Promise<void> {
    const isRecorded = (message: ToClient): boolean =>
      message.type === 'recorded' &&
      message.streams.some((stream) => stream.stream === 0 && stream.up >= up);
    while (!this.messages.some(isRecorded)) {
      await once(this.control, 'message');
    }
  }

  async openStream(
    stream: number,
    kind: CarrierKind = 'multiplexed',
    of: StreamKind = 'postgres',
  ): Promise<TestStream> {
    const session = this.id;
    const carrier = await openCarrier(this.#bench, this.#client, { session, stream, of, kind });
    this.recording.openStream(stream);
    const opened = new TestStream(carrier, stream, this.recording);
    this.#streams.set(
      stream,
      opened.closed.then(() => this.recording.closeStream(stream)),
    );
    return opened;
  }

  /** The message of this type, now or when it comes. */
  async message<T extends ToClient['type']>(type: T): Promise<Extract<ToClient, { type: T }>> {
    for (;;) {
      const found = this.messages.find((message) => message.type === type);
      if (found !== undefined) {
        // Found by its type.
        return found as Extract<ToClient, { type: T }>;
      }
      await once(this.control, 'message');
    }
  }

  /** Ends it from this side, as `hoop connect` does at Ctrl-C. */
  async close(): Promise<void> {
    this.control.send(JSON.stringify({ type: 'close' }));
    await this.finish();
  }

  /** What a client does when the session ends, whoever ended it. */
  async finish(): Promise<void> {
    await this.message('closing');
    await Promise.all(this.#streams.values());
    await this.recording.finish(this.#bench.signal);
    await this.message('closed');
    await this.#closed;
    await this.recording.close();
  }

  #received(data: WebSocket.RawData, isBinary: boolean): void {
    if (!Buffer.isBuffer(data)) {
      throw new TypeError('fragments');
    }
    if (isBinary) {
      this.recording.data(0, 1, [data]);
      this.#evidence += data.toString();
      return;
    }
    const message = ToClient.parse(JSON.parse(data.toString()));
    this.messages.push(message);
    if (message.type === 'recorded') {
      this.recording.recorded(message.streams);
    } else if (message.type === 'streamEnd') {
      this.recording.peerEnded(message.stream, message);
    } else if (message.type === 'cutAck') {
      this.recording.acknowledge(message.ack);
    }
  }
}

export class TestStream {
  readonly closed: Promise<unknown>;
  readonly carrier: StreamCarrier;
  readonly #stream: number;
  readonly #recording: ClientRecording;
  #buffer = Buffer.alloc(0);

  constructor(carrier: StreamCarrier, stream: number, recording: ClientRecording) {
    this.carrier = carrier;
    this.#stream = stream;
    this.#recording = recording;
    this.closed = once(carrier, 'close');
    carrier.on('data', (data) => {
      recording.data(stream, 1, [data]);
      this.#buffer = Buffer.concat([this.#buffer, data]);
    });
    carrier.resume();
  }

  send(bytes: Uint8Array): void {
    this.#recording.data(this.#stream, 0, [bytes]);
    this.carrier.send([bytes]);
  }

  /** Messages up to the first of this type, e.g. `Z`: [type, body] each. */
  async readUntil(type: string): Promise<[string, Buffer][]> {
    const messages: [string, Buffer][] = [];
    for (;;) {
      const message = this.#next();
      if (message !== undefined) {
        messages.push(message);
        if (message[0] === type) {
          return messages;
        }
      } else if (this.carrier.isClosed) {
        const got = messages.map(([name, body]) => `${name} ${name === 'E' ? body : ''}`);
        throw new Error(`the stream ended before ${type}: ${got}`);
      } else {
        await Promise.race([once(this.carrier, 'data'), this.closed]);
      }
    }
  }

  #next(): [string, Buffer] | undefined {
    const length = this.#buffer.length < 5 ? Number.NaN : 1 + this.#buffer.readInt32BE(1);
    if (!(this.#buffer.length >= length)) {
      return undefined;
    }
    const message = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return [String.fromCharCode(message[0] ?? 0), message.subarray(5)];
  }

  /** StartupMessage, up to the first ReadyForQuery. */
  async startUp(user: string, database: string): Promise<[string, Buffer][]> {
    const parameters = new Map([
      ['user', user],
      ['database', database],
    ]);
    this.send(encodeStartupMessage({ majorVersion: 3, minorVersion: 0, parameters }));
    return await this.readUntil('Z');
  }

  async query(sql: string): Promise<[string, Buffer][]> {
    this.send(encodeQuery({ sql }));
    return await this.readUntil('Z');
  }

  /** Terminate, and close. */
  async end(): Promise<void> {
    this.send(Buffer.from([0x58, 0, 0, 0, 4]));
    await this.closed;
  }
}
