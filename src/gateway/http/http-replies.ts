/** Responses of the API, of the kinds that there are. */
import type { HttpReply } from '../identity/http-reply.ts';

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers });
}

export function reply({ status, headers, body }: HttpReply): Response {
  return Response.json(body, { status, headers: { ...headers } });
}

export function text(body: string): Response {
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

export function bytes(body: Uint8Array): Response {
  // A copy in plain memory: the type does not take a view that might be shared.
  return new Response(new Uint8Array(body), {
    headers: { 'content-type': 'application/octet-stream' },
  });
}
