/**
 * A SPIFFE agent on a unix socket: gRPC over HTTP/2 as SPIRE's speaks it, with a server of its own
 * and a protobuf codec of its own, so that a mistake of ours does not cancel itself out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SpiffeRequest {
  readonly audiences: readonly string[];
  readonly spiffeId: string | undefined;
}

type Answering = (request: SpiffeRequest, stream: ServerHttp2Stream) => void | Promise<void>;

export class TestSpiffeAgent implements AsyncDisposable {
  /** For SPIFFE_ENDPOINT_SOCKET. */
  readonly socket: string;
  readonly requests: SpiffeRequest[] = [];
  answer: Answering;
  readonly #dispose: () => Promise<void>;

  private constructor(socket: string, answer: Answering, dispose: () => Promise<void>) {
    this.socket = socket;
    this.answer = answer;
    this.#dispose = dispose;
  }

  static async start(answer: Answering): Promise<TestSpiffeAgent> {
    const directory = mkdtempSync(join(tmpdir(), 'hoop-spiffe-'));
    const path = join(directory, 'agent.sock');
    const server = createServer();
    const sessions = new Set<{ destroy: () => void }>();
    server.on('session', (session) => {
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
      session.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const agent = new TestSpiffeAgent(`unix://${path}`, answer, async () => {
      for (const session of sessions) {
        session.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    });
    server.on('stream', async (stream, headers) => {
      stream.on('error', () => undefined);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) {
        chunks.push(chunk);
      }
      const isCall =
        headers[':path'] === '/SpiffeWorkloadAPI/FetchJWTSVID' &&
        headers['content-type'] === 'application/grpc' &&
        headers['te'] === 'trailers';
      if (!isCall) {
        fail(stream, 12);
      } else if (headers['workload.spiffe.io'] !== 'true') {
        fail(stream, 3);
      } else {
        const request = readRequest(Buffer.concat(chunks));
        agent.requests.push(request);
        await agent.answer(request, stream);
      }
    });
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}

/** The status comes with the headers when there is no message. */
export function fail(stream: ServerHttp2Stream, status: number): void {
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(status) },
    { endStream: true },
  );
}

export function succeed(stream: ServerHttp2Stream, body: Buffer, status = '0'): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
  stream.end(body);
}

/** One frame with a JWTSVIDResponse in it. */
export function svidResponse(svids: readonly (readonly [id: string, token: string])[]): Buffer {
  const message = Buffer.concat(
    svids.map(([id, token]) => lengthDelimited(1, Buffer.concat([text(1, id), text(2, token)]))),
  );
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function text(field: number, value: string): Buffer {
  return lengthDelimited(field, Buffer.from(value));
}

function lengthDelimited(field: number, value: Buffer): Buffer {
  // Lengths of up to 2^14 in two bytes, whether they need them or not: protobuf allows it.
  const length = Buffer.from([(value.length & 0x7f) | 0x80, value.length >> 7]);
  return Buffer.concat([Buffer.from([(field << 3) | 2]), length, value]);
}

/** Fields of a JWTSVIDRequest shorter than 128 bytes, which the tests' are. */
function readRequest(body: Buffer): SpiffeRequest {
  const audiences: string[] = [];
  let spiffeId: string | undefined;
  for (let at = 5; at < body.length; ) {
    const tag = body[at] ?? 0;
    const length = body[at + 1] ?? 0;
    const value = body.subarray(at + 2, at + 2 + length).toString();
    if (tag === 0x0a) {
      audiences.push(value);
    } else if (tag === 0x12) {
      spiffeId = value;
    } else {
      throw new RangeError('a field that a JWTSVIDRequest does not have');
    }
    at += 2 + length;
  }
  return { audiences, spiffeId };
}
