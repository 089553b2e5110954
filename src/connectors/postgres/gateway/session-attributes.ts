/**
 * What libpq's target_session_attrs asks about a server, on a connection that has just logged in.
 * https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
import type { Socket } from 'node:net';
import type { SessionAttributes } from '../policy/target.ts';
import { decodeDataRow } from '../protocol/backend-messages.ts';
import { encodeQuery } from '../protocol/frontend-messages.ts';
import { BACKEND } from '../protocol/message-types.ts';
import { readMessage } from './read-message.ts';

/**
 * @param attributes `prefer-standby` is for the caller: first `standby`, then `any`.
 * @returns why this server is not the one that is wanted.
 */
export async function unfitFor(
  attributes: Exclude<SessionAttributes, 'prefer-standby'>,
  socket: Socket,
  parameters: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (attributes === 'any') {
    return undefined;
  }
  const { isStandby, isReadOnly } = await serverState(socket, parameters, signal);
  switch (attributes) {
    case 'primary':
      return isStandby ? 'The server is a standby.' : undefined;
    case 'standby':
      return isStandby ? undefined : 'The server is not a standby.';
    case 'read-write':
      return isStandby || isReadOnly ? 'The server does not take writes.' : undefined;
    case 'read-only':
      return isStandby || isReadOnly ? undefined : 'The server takes writes.';
  }
}

interface ServerState {
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
}

/** Reported by the server since version 14; before that it has to be asked. */
async function serverState(
  socket: Socket,
  parameters: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<ServerState> {
  const standby = parameters.get('in_hot_standby');
  const readOnly = parameters.get('default_transaction_read_only');
  if (standby !== undefined && readOnly !== undefined) {
    return { isStandby: standby === 'on', isReadOnly: readOnly === 'on' };
  }
  const [row] = await rowsOf(socket, STATE, signal);
  return { isStandby: row?.[0] === 't', isReadOnly: row?.[1] === 'on' };
}

const STATE = `SELECT pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('default_transaction_read_only')`;

async function rowsOf(socket: Socket, sql: string, signal: AbortSignal): Promise<string[][]> {
  socket.write(encodeQuery({ sql }));
  const rows: string[][] = [];
  for (;;) {
    const { type, body } = await readMessage(socket, signal);
    if (type === BACKEND.DataRow) {
      rows.push(decodeDataRow(body).values.map((value) => Buffer.from(value ?? '').toString()));
    }
    if (type === BACKEND.ReadyForQuery) {
      return rows;
    }
  }
}
