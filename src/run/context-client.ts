/** The context endpoint of the run around this process. Loads little: agent hooks wait for it. */
import { readFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { ERROR_CODES, type ErrorCode, HoopError } from '../errors.ts';
import {
  CONTEXT_HOST,
  CONTEXT_PATHS,
  ErrorReply,
  type NewPromptPost,
  PromptReply,
  StatusReply,
  TOKEN_FILE,
} from './context-messages.ts';

/** The gateway's acknowledgement is a round trip and a sync away, and a session may just be opening. */
const ANSWER_WITHIN_MS = 30_000;
const MAX_REPLY_BYTES = 1 << 20;

/** Whether this process runs inside a run that takes prompts. */
export function isInsideRun(env: NodeJS.ProcessEnv): boolean {
  return (env['HOOP_CONTEXT_URL'] ?? '') !== '';
}

/** Resolves when the gateway has recorded it. @throws HoopError as the endpoint says; HOOP_RUN_GONE */
export async function postPrompt(
  env: NodeJS.ProcessEnv,
  post: NewPromptPost,
  signal: AbortSignal,
): Promise<PromptReply> {
  return PromptReply.parse(await ask(env, 'POST', CONTEXT_PATHS.prompt, post, signal));
}

/** @throws as `postPrompt` */
export async function contextStatus(
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<StatusReply> {
  return StatusReply.parse(await ask(env, 'GET', CONTEXT_PATHS.status, undefined, signal));
}

async function ask(
  env: NodeJS.ProcessEnv,
  method: string,
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const sent = request(
    {
      ...placeOf(env['HOOP_CONTEXT_URL'] ?? ''),
      method,
      path,
      agent: false,
      headers: {
        authorization: `Bearer ${tokenOf(env)}`,
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': text.length }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    },
    (response) => {
      buffer(response).then((bytes) => {
        try {
          resolve(readReply(response.statusCode ?? 0, bytes));
        } catch (error) {
          reject(error);
        }
      }, reject);
    },
  );
  sent.on('error', reject);
  sent.end(text);
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof HoopError ? error : gone(error);
  }
}

function tokenOf(env: NodeJS.ProcessEnv): string {
  const directory = env['HOOP_RUN_DIR'] ?? '';
  const token = env['HOOP_CONTEXT_TOKEN'] ?? '';
  if (token !== '' || directory === '') {
    return token;
  }
  try {
    return readFileSync(join(directory, TOKEN_FILE), 'utf8');
  } catch (error) {
    throw gone(error);
  }
}

function placeOf(url: string): RequestOptions {
  if (url.startsWith('unix:/')) {
    return { socketPath: url.slice('unix:'.length), host: CONTEXT_HOST, setHost: true };
  }
  const port = /^http:\/\/127\.0\.0\.1:(\d{1,5})$/.exec(url)?.[1];
  if (port === undefined) {
    throw new HoopError('HOOP_USAGE', 'HOOP_CONTEXT_URL is not the address of a run', {
      hint: 'It is set by `hoop run`; do not set it yourself.',
    });
  }
  return { host: '127.0.0.1', port: Number(port) };
}

function readReply(status: number, bytes: Buffer): unknown {
  const value: unknown = bytes.length > MAX_REPLY_BYTES ? undefined : parse(bytes);
  if (status === 200) {
    return value;
  }
  const error = ErrorReply.safeParse(value).data?.error;
  if (error === undefined || !isCode(error.code)) {
    throw gone(new Error(`HTTP status ${status}`));
  }
  const { code, message, detail, hint } = error;
  throw new HoopError(code, message, { detail, hint });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isCode(code: string): code is ErrorCode {
  return ERROR_CODES.some((one) => one === code);
}

function gone(cause: unknown): HoopError {
  return new HoopError('HOOP_RUN_GONE', 'the run around this command does not answer', {
    detail: 'It has ended, or this process cannot see it.',
    cause,
  });
}
