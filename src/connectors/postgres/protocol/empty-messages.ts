/**
 * The messages that are their type byte and Int32(4) and nothing else.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { MalformedMessage } from './malformed-message.ts';
import { BACKEND, FRONTEND } from './message-types.ts';

const FRONTEND_EMPTY = ['CopyDone', 'Flush', 'Sync', 'Terminate'] as const;
const BACKEND_EMPTY = [
  'BindComplete',
  'CloseComplete',
  'CopyDone',
  'EmptyQueryResponse',
  'NoData',
  'ParseComplete',
  'PortalSuspended',
] as const;

export type EmptyFrontendName = (typeof FRONTEND_EMPTY)[number];
export type EmptyBackendName = (typeof BACKEND_EMPTY)[number];

/** @throws MalformedMessage if the body has any byte. */
export function decodeEmpty(name: EmptyFrontendName | EmptyBackendName, body: Uint8Array): void {
  if (body.length !== 0) {
    throw new MalformedMessage(`${name} has ${body.length} bytes too many`);
  }
}

export function encodeEmptyFrontend(name: EmptyFrontendName): Uint8Array {
  return Uint8Array.of(FRONTEND[name], 0, 0, 0, 4);
}

export function encodeEmptyBackend(name: EmptyBackendName): Uint8Array {
  return Uint8Array.of(BACKEND[name], 0, 0, 0, 4);
}
