import { Agent, type Dispatcher, request } from 'undici';
import type { GatewayBench } from './gateway-bench.ts';

export interface RawReply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  /** The error code in the body, if there is one. */
  readonly code: string | undefined;
}

export interface RawRequest {
  readonly method?: Dispatcher.HttpMethod;
  readonly path: string;
  /** Logged in as; absent: nobody. */
  readonly as?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Origin of another gateway. Absent: the bench's. */
  readonly to?: string;
}

/** One request as a client would send it that does not use our code. */
export async function rawRequest(bench: GatewayBench, options: RawRequest): Promise<RawReply> {
  const agent = new Agent({ connect: { ca: bench.ca } });
  try {
    const method = options.method ?? 'GET';
    const url = `${options.to ?? bench.gateway().url}${options.path}`;
    const client = options.as === undefined ? undefined : await bench.client(options.as);
    const send = async (): Promise<RawReply> => {
      const login = await client?.authHeaders(method, url, bench.signal);
      const reply = await request(url, {
        method,
        dispatcher: agent,
        headers: { ...login, ...options.headers },
        ...(options.body === undefined ? {} : { body: options.body }),
      });
      const text = await reply.body.text();
      return { status: reply.statusCode, headers: reply.headers, text, code: codeOf(text) };
    };
    const first = await send();
    // A client that comes for the first time, or after a while, has no nonce that is good.
    return client?.upgradeRefused(first.status, first.headers) ? await send() : first;
  } finally {
    await agent.destroy();
  }
}

function codeOf(text: string): string | undefined {
  try {
    return JSON.parse(text)?.error?.code;
  } catch {
    return undefined;
  }
}
