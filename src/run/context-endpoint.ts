/**
 * Where programs inside a run say what they do it for: HTTP on a unix socket in the run's private
 * directory (on Windows on 127.0.0.1), with a token of this run. A prompt can be posted and the
 * state read; nothing else, and nothing of it decides anything.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { HoopError } from '../errors.ts';
import { promptLine } from '../recording/formats/prompt.ts';
import { MAX_PROMPT_INPUT_BYTES, newPrompt, promptTooLong } from '../tunnel/new-prompt.ts';
import {
  CONTEXT_HOST,
  CONTEXT_PATHS,
  PromptPost,
  type StatusReply,
  TOKEN_FILE,
} from './context-messages.ts';
import type { EnvironmentPart } from './environment.ts';
import type { Run } from './run.ts';
import type { RunPrompts } from './run-prompts.ts';

const TOKEN_BYTES = 32;
const SOCKET_NAME = 'context.sock';
const MAX_CONNECTIONS = 32;
/** Control characters take six bytes each as JSON; text that is mostly that is none. */
const MAX_BODY_BYTES = 2 * MAX_PROMPT_INPUT_BYTES;

export interface ContextEndpointOptions {
  readonly run: Pick<Run, 'id' | 'agent' | 'directory' | 'targets'>;
  readonly prompts: Pick<RunPrompts, 'set' | 'current'>;
  /** For tests; default: a unix socket where there are such. */
  readonly listen?: 'unix' | 'loopback';
}

export class ContextEndpoint implements AsyncDisposable {
  /** HOOP_CONTEXT_URL and HOOP_CONTEXT_TOKEN. */
  readonly environment: EnvironmentPart;
  readonly #options: ContextEndpointOptions;
  readonly #server: Server;
  readonly #hosts: readonly string[];
  readonly #tokenDigest: Buffer;

  /** @throws HoopError HOOP_LOCAL_PORT */
  static async open(options: ContextEndpointOptions): Promise<ContextEndpoint> {
    const how = options.listen ?? (process.platform === 'win32' ? 'loopback' : 'unix');
    const path = join(options.run.directory, SOCKET_NAME);
    const server = createServer({
      headersTimeout: 5_000,
      requestTimeout: 30_000,
      maxHeaderSize: 8 * 1024,
    });
    server.maxConnections = MAX_CONNECTIONS;
    try {
      server.listen(how === 'unix' ? { path } : { host: '127.0.0.1', port: 0 });
      await once(server, 'listening');
    } catch (cause) {
      throw new HoopError('HOOP_LOCAL_PORT', 'the endpoint for prompts cannot be opened', {
        cause,
      });
    }
    if (how === 'unix') {
      // The directory is the gate; this is for whoever copies the path.
      chmodSync(path, 0o600);
    }
    return new ContextEndpoint(options, server, how === 'unix' ? path : undefined);
  }

  private constructor(options: ContextEndpointOptions, server: Server, path: string | undefined) {
    this.#options = options;
    this.#server = server;
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    this.#tokenDigest = digestOf(token);
    writeFileSync(join(options.run.directory, TOKEN_FILE), token, { mode: 0o600, flag: 'wx' });
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#hosts = path === undefined ? [`127.0.0.1:${port}`] : [CONTEXT_HOST, 'localhost'];
    this.environment = {
      HOOP_CONTEXT_URL: path === undefined ? `http://127.0.0.1:${port}` : `unix:${path}`,
      HOOP_CONTEXT_TOKEN: token,
    };
    server.on('request', (request, response) => {
      this.#answer(request, response).catch((error: unknown) => this.#fail(response, error));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#check(request);
    const { method, url } = request;
    if (url === CONTEXT_PATHS.prompt && method === 'POST') {
      const { text, hook, ...words } = parsePost(request, await bodyOf(request));
      const from = hook === undefined ? words.source : `hook:${hook}`;
      const prompt = newPrompt({ ...words, source: from, text });
      const sessions = await this.#options.prompts.set(prompt);
      send(response, 200, { v: 1, id: prompt.id, bytes: Buffer.byteLength(text), sessions });
    } else if (url === CONTEXT_PATHS.status && method === 'GET') {
      send(response, 200, this.#status());
    } else {
      throw new HoopError('HOOP_USAGE', 'there is no such request', {
        hint: 'POST /v1/prompt or GET /v1/status.',
      });
    }
  }

  /** A page in a browser has the wrong Host (rebinding) or an Origin, and never the token. */
  #check({ headers }: IncomingMessage): void {
    if (!this.#hosts.includes(headers.host ?? '') || headers.origin !== undefined) {
      throw new HoopError('HOOP_CONTEXT_REFUSED', 'the request is not from a program of this run', {
        detail: 'Its Host or Origin header names another site.',
      });
    }
    const [, token = ''] = /^Bearer ([\w-]{1,200})$/.exec(headers.authorization ?? '') ?? [];
    if (!timingSafeEqual(digestOf(token), this.#tokenDigest)) {
      throw new HoopError('HOOP_CONTEXT_REFUSED', 'the token does not belong to this run', {
        hint: 'Send `Authorization: Bearer` with the value of HOOP_CONTEXT_TOKEN.',
      });
    }
  }

  #status(): StatusReply {
    const { run, prompts } = this.#options;
    const { current } = prompts;
    const line = current && promptLine(current);
    return {
      v: 1,
      run: run.id,
      ...(run.agent === undefined ? {} : { agent: run.agent }),
      targets: [...run.targets],
      ...(line === undefined
        ? {}
        : {
            prompt: {
              id: line.id,
              source: line.source,
              text: line.text,
              bytes: line.bytes,
              sha256: line.sha256,
              sentMs: line.sentMs,
            },
          }),
    };
  }

  #fail(response: ServerResponse, error: unknown): void {
    const known =
      error instanceof HoopError
        ? error
        : new HoopError('HOOP_INTERNAL', 'the prompt could not be recorded', { cause: error });
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const { code, message, detail, hint } = known;
    response.setHeader('connection', 'close');
    send(response, STATUS[code] ?? 500, { v: 1, error: { code, message, detail, hint } });
  }
}

const STATUS: Readonly<Record<string, number>> = {
  HOOP_CONTEXT_REFUSED: 401,
  HOOP_USAGE: 400,
  HOOP_TOO_LARGE: 413,
  HOOP_LIMIT: 429,
  HOOP_SESSION_ENDED: 409,
};

/** Of equal length whatever was sent, which `timingSafeEqual` needs. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    const bytes: unknown = part;
    if (!Buffer.isBuffer(bytes)) {
      throw new TypeError('text where bytes were asked for');
    }
    length += bytes.length;
    if (length > MAX_BODY_BYTES) {
      throw promptTooLong();
    }
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** Bytes that are no UTF-8 become U+FFFD: a prompt that looks strange is better than none. */
function parsePost({ headers }: IncomingMessage, body: Buffer): PromptPost {
  const text = body.toString('utf8');
  const isJson = /^application\/json\b/i.test(headers['content-type'] ?? '');
  const post = isJson ? PromptPost.safeParse(parseJson(text)).data : PromptPost.parse({ text });
  if (post === undefined) {
    throw new HoopError('HOOP_USAGE', 'the body is not a prompt', {
      hint: 'Send text, or JSON: {"text": …, "source": "name", "parent": "ID of a prompt"}. The names flag, file, hook and limit are reserved for hoop.',
    });
  }
  if (Buffer.byteLength(post.text) > MAX_PROMPT_INPUT_BYTES) {
    throw promptTooLong();
  }
  return post;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
