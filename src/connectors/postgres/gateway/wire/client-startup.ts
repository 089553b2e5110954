/** The first packet of a stream: what it asks for, and whether that may be. */
import { randomBytes } from 'node:crypto';
import { HoopError } from '../../../../errors.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { refuseStartupParameters, startupOptions } from '../../policy/verdict/guards-startup.ts';
import {
  encodeAuthentication,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from '../../protocol/backend-messages.ts';
import { encodeNoticeResponse } from '../../protocol/report-fields.ts';
import {
  type CancelRequest,
  type StartupMessage,
  StartupPacketReader,
} from '../../protocol/startup-packet.ts';
import { BYTES } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { TargetConnection } from '../target/target-connection.ts';
import type { PostgresStreamOptions } from '../types.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { StreamEnded } from './stream-ended.ts';
import type { NativeError } from './to-error-response.ts';

export interface FirstPacket {
  readonly packet: StartupMessage | CancelRequest;
  /** Its bytes in the up stream. */
  readonly length: number;
  /** What came in the same chunk behind it. */
  readonly rest: Uint8Array;
}

/** Of protocol 3.2; before it a key has exactly 4 bytes. */
const LONG_KEY_BYTES = 32;
const SHORT_KEY_BYTES = 4;
/** Also before what the server says only to those that it has let in, as it does itself. */
export const LOGGED_IN = encodeAuthentication({ type: 'AuthenticationOk' });

/** @throws ProtocolError, StreamEnded. */
export async function readFirstPacket(reader: ChunkReader): Promise<FirstPacket> {
  const packets = new StartupPacketReader();
  for (;;) {
    const chunk = await reader.next();
    if (chunk === undefined) throw new StreamEnded('the client requested nothing');
    const read = packets.push(chunk);
    if (read === undefined) continue;
    const { packet, bytes, rest } = read;
    if (packet.type === 'StartupMessage' || packet.type === 'CancelRequest') {
      return { packet, length: bytes.length, rest };
    }
    // Encryption of the local connection ends in the CLI; here it would only hide the bytes.
    throw new HoopError('HOOP_PROTOCOL', `${packet.type} has no place in a tunnel stream`);
  }
}

/** @returns why the connection may not be made. */
export function refuseStartup(
  { parameters }: StartupMessage,
  options: PostgresStreamOptions,
): SqlRefusal | NativeError | undefined {
  const { target } = options;
  const database = parameters.get('database');
  if (database !== undefined && database !== '' && database !== target.database) {
    return {
      sqlState: SQL_STATE.invalidCatalogName,
      message: `database "${database}" is not available here`,
      detail: `This session is for target "${target.name}", database "${target.database}".`,
      hint: `Connect to database "${target.database}", or open a session for another target.`,
    };
  }
  return refuseStartupParameters(sessionParameters(parameters), options.grant());
}

/**
 * What is passed on of the client's parameters. Its user is the one of the local port; who it is at
 * the target is the credential's business. Protocol options are settled between client and CLI.
 */
export function sessionParameters(
  parameters: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  return new Map(
    [...parameters].filter(
      ([name]) => name !== 'user' && name !== 'database' && !name.startsWith('_pq_.'),
    ),
  );
}

/** Names of settings in the first packet. */
export function startupSettings(parameters: ReadonlyMap<string, string>): readonly string[] {
  const options = startupOptions(parameters.get('options') ?? '') ?? [['*']];
  return [...sessionParameters(parameters).keys(), ...options.map(([name]) => name)];
}

export interface Greeting {
  readonly bytes: Uint8Array;
  readonly processId: number;
  /** The gateway's own: the target's key never leaves it. */
  readonly secretKey: Uint8Array;
}

export function greet(startup: StartupMessage, target: TargetConnection): Greeting {
  const { processId } = target;
  const secretKey = randomBytes(startup.minorVersion >= 2 ? LONG_KEY_BYTES : SHORT_KEY_BYTES);
  const messages = [LOGGED_IN];
  for (const fields of target.notices) messages.push(encodeNoticeResponse({ fields }, BYTES));
  for (const [name, value] of target.parameters) {
    messages.push(encodeParameterStatus({ name, value }, BYTES));
  }
  messages.push(
    encodeBackendKeyData({ processId, secretKey }),
    encodeReadyForQuery({ status: 'idle' }),
  );
  return { bytes: Buffer.concat(messages), processId, secretKey };
}
