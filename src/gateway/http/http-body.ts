/** Bodies of requests, read up to a limit, and their queries; parsed by a schema. */
import type { z } from 'zod';
import { textIssue } from '../../api/free-text.ts';
import { HoopError, ProtocolError } from '../../errors.ts';
import type { Ctx } from './api-context.ts';

/** @throws HOOP_TOO_LARGE as soon as more than `limit` bytes are announced or have come. */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get('content-length') ?? 0);
  if (announced > limit) {
    throw tooLarge(limit);
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.length;
    if (length > limit) {
      throw tooLarge(limit);
    }
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}

/** @throws HOOP_TOO_LARGE, HOOP_USAGE, HOOP_PROTOCOL naming the member that is wrong, never its value. */
export async function readJson<T>(
  request: Request,
  schema: z.ZodType<T>,
  limit: number,
): Promise<T> {
  return parseJson(decodeText(await readBody(request, limit)), schema);
}

export function parseJson<T>(text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which may hold a token.
    throw new ProtocolError('the message is not valid JSON');
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw (
      (issue && textIssue(issue)) ??
      new ProtocolError('the message does not have the expected form', {
        detail: issue && `At "${issue.path.join('.')}": ${issue.message}.`,
      })
    );
  }
  return parsed.data;
}

/** @throws HOOP_PROTOCOL */
export function readQuery<T>(c: Ctx, schema: z.ZodType<T>): T {
  const query = schema.safeParse(c.req.query());
  if (!query.success) throw new ProtocolError('the query is not valid');
  return query.data;
}

export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ProtocolError('the message is not valid UTF-8');
  }
}

function tooLarge(limit: number): HoopError {
  return new HoopError('HOOP_TOO_LARGE', `the request body is larger than ${limit} bytes`);
}
