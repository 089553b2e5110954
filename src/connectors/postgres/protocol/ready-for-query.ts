import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('Z') · Int32(5) · Byte1 'I' idle, 'T' in a transaction, 'E' in a failed transaction
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-READYFORQUERY
 */
export interface ReadyForQuery {
  readonly type: 'ReadyForQuery';
  readonly status: TransactionStatus;
}

export type TransactionStatus = 'idle' | 'transaction' | 'failed';

const STATUS_BYTES = { idle: 0x49, transaction: 0x54, failed: 0x45 } as const satisfies Record<
  TransactionStatus,
  number
>;

export function decodeReadyForQuery(body: Uint8Array): ReadyForQuery {
  const reader = new MessageReader('ReadyForQuery', body);
  const status = statusOf(reader.u8());
  reader.end();
  return { type: 'ReadyForQuery', status };
}

export function encodeReadyForQuery(message: Omit<ReadyForQuery, 'type'>): Uint8Array {
  return new MessageWriter(BACKEND.ReadyForQuery).u8(STATUS_BYTES[message.status]).finish();
}

function statusOf(byte: number): TransactionStatus {
  switch (byte) {
    case STATUS_BYTES.idle:
      return 'idle';
    case STATUS_BYTES.transaction:
      return 'transaction';
    case STATUS_BYTES.failed:
      return 'failed';
    default:
      throw new ProtocolError(`ReadyForQuery has the unknown status ${byte}`);
  }
}
