/**
 * A platform's token or metadata service on loopback, with an issuer whose keys can be read over
 * HTTP: a test says what it answers and sees what it was asked.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { createProbes } from '../../../src/auth/workload/probes.ts';
import type {
  Detection,
  FoundWorkload,
  WorkloadContext,
  WorkloadProvider,
} from '../../../src/auth/workload/workload-provider.ts';
import { TestIssuer } from '../../gateway/identity/test-issuer.ts';
import { listen } from '../listen.ts';

export interface PlatformRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface PlatformAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

type Answering = (request: PlatformRequest) => PlatformAnswer | Promise<PlatformAnswer>;

export class TestPlatform implements AsyncDisposable {
  readonly issuer: TestIssuer;
  /** Without a slash at its end. */
  readonly url: string;
  readonly requests: PlatformRequest[] = [];
  answer: Answering;
  readonly #close: () => Promise<void>;

  private constructor(
    issuer: TestIssuer,
    server: { readonly url: string; readonly close: () => Promise<void> },
    answer: Answering,
  ) {
    this.issuer = issuer;
    this.url = server.url;
    this.#close = server.close;
    this.answer = answer;
  }

  static async start(answer: Answering = () => ({ status: 404, body: '' })): Promise<TestPlatform> {
    const server = createServer();
    const { port, close } = await listen(server);
    const url = `http://127.0.0.1:${port}`;
    const self = new TestPlatform(await TestIssuer.start(), { url, close }, answer);
    server.on('request', async (incoming, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of incoming) {
        chunks.push(chunk);
      }
      const request: PlatformRequest = {
        method: incoming.method ?? '',
        url: new URL(incoming.url ?? '/', url),
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      };
      self.requests.push(request);
      const { status = 200, headers = {}, body } = await self.answer(request);
      response.writeHead(status, headers).end(body);
    });
    return self;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.issuer[Symbol.asyncDispose]();
  }
}

export function contextOf(env: Readonly<Record<string, string>>, root?: string): WorkloadContext {
  const probes = createProbes({ env, ...(root === undefined ? {} : { root }) });
  return { env, probes, audience: undefined };
}

export function detect(
  provider: WorkloadProvider,
  env: Readonly<Record<string, string>>,
  root?: string,
): Promise<Detection> {
  return provider.detect(contextOf(env, root), new AbortController().signal);
}

export async function found(
  provider: WorkloadProvider,
  env: Readonly<Record<string, string>>,
  root?: string,
): Promise<FoundWorkload> {
  const detection = await detect(provider, env, root);
  if (detection.state !== 'found') {
    throw new Error(`${detection.state}: ${detection.because}`);
  }
  return detection;
}
