/**
 * One unary gRPC call, `SpiffeWorkloadAPI/FetchJWTSVID`, over the socket of a SPIFFE agent.
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_Endpoint.md
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { createConnection, isIP } from 'node:net';
import { onAbort } from '../../until.ts';
import { decodeJwtSvidResponse, encodeJwtSvidRequest, type JwtSvid } from './spiffe-messages.ts';

const PATH = '/SpiffeWorkloadAPI/FetchJWTSVID';
/** The agent asks the kernel and its server; SPIRE's own clients wait 30 s. */
const CALL_TIMEOUT_MS = 10_000;
/** Some 100 tokens. */
const MAX_BODY_BYTES = 256 * 1024;
/** https://grpc.io/docs/guides/status-codes/ */
const STATUS_OK = 0;

export type SpiffeAddress =
  | { readonly type: 'unix'; readonly path: string }
  | { readonly type: 'tcp'; readonly host: string; readonly port: number };

/** What the agent answers when it has no token for us, or what was wrong with its answer. */
export class SpiffeCallError extends Error {
  /** gRPC's; undefined when it is not from the agent. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SpiffeCallError';
    this.status = status;
  }
}

/**
 * `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081`, as SPIFFE_ENDPOINT_SOCKET has it (§4).
 * TCP on this host only: the token travels in clear, and §3 wants the agent to know its caller.
 * @returns undefined for everything else
 */
export function parseSpiffeAddress(text: string): SpiffeAddress | undefined {
  const path = /^unix:(?:\/\/)?(\/(?!\/)[^?#]+)$/.exec(text)?.[1];
  if (path !== undefined) {
    return { type: 'unix', path };
  }
  const url = URL.parse(text);
  const host = url?.hostname.replace(/^\[|\]$/g, '') ?? '';
  const port = Number(url?.port);
  const isBare = url !== null && /^tcp:\/\/[^/?#@]+$/.test(text);
  return isBare && isIP(host) !== 0 && /^(127\.|169\.254\.|::1$)/.test(host) && port > 0
    ? { type: 'tcp', host, port }
    : undefined;
}

/**
 * @returns at least one; the first is the default identity of the workload
 * @throws SpiffeCallError
 */
export async function fetchJwtSvids(
  address: SpiffeAddress,
  request: { readonly audience: string; readonly spiffeId: string | undefined },
  signal: AbortSignal,
): Promise<readonly JwtSvid[]> {
  const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const aborted = AbortSignal.any([signal, timeout]);
  // The authority means nothing on a socket; gRPC clients say "localhost".
  const session = connect('http://localhost', {
    createConnection: () =>
      address.type === 'unix'
        ? createConnection({ path: address.path })
        : createConnection({ host: address.host, port: address.port }),
  });
  using _ = onAbort(aborted, () => session.destroy());
  try {
    const svids = decodeJwtSvidResponse(await call(session, request));
    if (svids.length === 0) {
      throw new SpiffeCallError('it returned no identity');
    }
    return svids;
  } catch (cause) {
    if (signal.aborted) {
      throw signal.reason;
    }
    if (cause instanceof SpiffeCallError) {
      throw cause;
    }
    const reason = cause instanceof Error ? cause.message : 'the call failed';
    throw new SpiffeCallError(
      timeout.aborted ? `it has not answered within ${CALL_TIMEOUT_MS} ms` : reason,
      undefined,
      cause,
    );
  } finally {
    session.destroy();
  }
}

/** @returns the body of an answer whose gRPC status is OK */
function call(
  session: ClientHttp2Session,
  request: { readonly audience: string; readonly spiffeId: string | undefined },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    session.once('error', reject);
    session.once('close', () => reject(new SpiffeCallError('it closed the connection')));
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      // §3: shows that no browser and no confused server sends this.
      'workload.spiffe.io': 'true',
    });
    collect(stream, resolve, reject);
    stream.end(encodeJwtSvidRequest(request.audience, request.spiffeId));
  });
}

function collect(
  stream: ClientHttp2Stream,
  resolve: (body: Buffer) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  let trailers: IncomingHttpHeaders = {};
  stream.once('error', reject);
  stream.once('response', (received) => {
    headers = received;
  });
  stream.once('trailers', (received) => {
    trailers = received;
  });
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      reject(new SpiffeCallError('its answer is larger than tokens can be'));
      stream.destroy();
      return;
    }
    chunks.push(chunk);
  });
  stream.once('end', () => {
    const problem = problemOf(headers, trailers);
    if (problem === undefined) {
      resolve(Buffer.concat(chunks));
    } else {
      reject(problem);
    }
  });
}

/** Without a message the status comes with the headers ("trailers-only"). */
function problemOf(
  headers: IncomingHttpHeaders & IncomingHttpStatusHeader,
  trailers: IncomingHttpHeaders,
): SpiffeCallError | undefined {
  const type = headers['content-type'] ?? '';
  if (headers[':status'] !== 200 || !type.startsWith('application/grpc')) {
    return new SpiffeCallError('the server there does not speak gRPC');
  }
  const text = trailers['grpc-status'] ?? headers['grpc-status'];
  const status = typeof text === 'string' && /^\d{1,2}$/.test(text) ? Number(text) : undefined;
  if (status === STATUS_OK) {
    return undefined;
  }
  return status === undefined
    ? new SpiffeCallError('its answer ends too early')
    : new SpiffeCallError(`it answers with gRPC status ${status}`, status);
}
