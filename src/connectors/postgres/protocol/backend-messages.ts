/**
 * What servers send, but for errors and notices (`report-fields.ts`) and messages without a body. Layouts:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { ProtocolError } from '../../../errors.ts';
import { type OneOf, type ValuesOf, variants } from '../../../protocol/layout.ts';
import {
  cancelKey,
  FORMATS,
  I16,
  I32,
  list,
  type MessageField,
  message,
  REST,
  record,
  STRING,
  TYPE_OIDS,
  U8,
  U16,
  U32,
  VALUE,
  VALUES,
} from './message-layout.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { BYTES } from './text-codec.ts';

const SALT: MessageField<Uint8Array> = {
  read: (reader) => reader.bytes(4),
  write(writer, salt) {
    if (salt.length !== 4) {
      throw new ProtocolError('AuthenticationMD5Password needs a salt of 4 bytes');
    }
    writer.bytes(salt);
  },
};

/** String × n · Byte1(0) */
const MECHANISMS: MessageField<readonly string[]> = {
  read(reader) {
    const mechanisms: string[] = [];
    for (let name = reader.cstring(); name !== ''; name = reader.cstring()) mechanisms.push(name);
    return mechanisms;
  },
  write(writer, mechanisms) {
    for (const mechanism of mechanisms) writer.cstring(mechanism);
    writer.u8(0);
  },
};

const AUTHENTICATION = {
  AuthenticationOk: { code: 0, fields: {} },
  AuthenticationKerberosV5: { code: 2, fields: {} },
  AuthenticationCleartextPassword: { code: 3, fields: {} },
  AuthenticationMD5Password: { code: 5, fields: { salt: SALT } },
  AuthenticationGSS: { code: 7, fields: {} },
  AuthenticationGSSContinue: { code: 8, fields: { data: REST } },
  AuthenticationSSPI: { code: 9, fields: {} },
  AuthenticationSASL: { code: 10, fields: { mechanisms: MECHANISMS } },
  AuthenticationSASLContinue: { code: 11, fields: { data: REST } },
  AuthenticationSASLFinal: { code: 12, fields: { data: REST } },
} as const;

export type Authentication = OneOf<'type', typeof AUTHENTICATION>;

const authentication = variants('type', AUTHENTICATION);

export function decodeAuthentication(body: Uint8Array): Authentication {
  const reader = new MessageReader('Authentication', body, BYTES);
  const code = reader.u32();
  const read = authentication.read(code, reader);
  if (read === undefined) throw new ProtocolError(`Authentication has the unknown code ${code}`);
  reader.end();
  return read;
}

export function encodeAuthentication(values: Authentication): Uint8Array {
  const writer = new MessageWriter(BACKEND.Authentication, BYTES);
  authentication.write(writer.u32(authentication.code(values)), values);
  return writer.finish();
}

export const { decode: decodeBackendKeyData, encode: encodeBackendKeyData } = message(
  'BackendKeyData',
  BACKEND.BackendKeyData,
  { processId: I32, secretKey: cancelKey('BackendKeyData') },
);

/** For example "SELECT 5". */
export const { decode: decodeCommandComplete, encode: encodeCommandComplete } = message(
  'CommandComplete',
  BACKEND.CommandComplete,
  { tag: STRING },
);

export type CopyResponseName = 'CopyInResponse' | 'CopyOutResponse' | 'CopyBothResponse';

/** Format 0: rows are lines of text; 1: binary COPY format. */
const copyResponse = (name: CopyResponseName) =>
  message(name, BACKEND[name], { format: U8, columnFormats: FORMATS });

export const COPY_RESPONSE = {
  CopyInResponse: copyResponse('CopyInResponse'),
  CopyOutResponse: copyResponse('CopyOutResponse'),
  CopyBothResponse: copyResponse('CopyBothResponse'),
} as const;

export type CopyResponse = ReturnType<ReturnType<typeof copyResponse>['decode']>;

export const { decode: decodeDataRow, encode: encodeDataRow } = message(
  'DataRow',
  BACKEND.DataRow,
  { values: VALUES },
);

export const { decode: decodeFunctionCallResponse, encode: encodeFunctionCallResponse } = message(
  'FunctionCallResponse',
  BACKEND.FunctionCallResponse,
  { value: VALUE },
);

/**
 * The newest version supported, and options that are not recognised. The docs call the first number
 * the minor version; PostgreSQL sends the whole one, and libpq expects that.
 */
export const { decode: decodeNegotiateProtocolVersion, encode: encodeNegotiateProtocolVersion } =
  message('NegotiateProtocolVersion', BACKEND.NegotiateProtocolVersion, {
    majorVersion: U16,
    minorVersion: U16,
    unrecognizedOptions: list(U32, STRING, 1),
  });

/** The process is the notifier's. */
export const { decode: decodeNotificationResponse, encode: encodeNotificationResponse } = message(
  'NotificationResponse',
  BACKEND.NotificationResponse,
  { processId: I32, channel: STRING, payload: STRING },
);

export const { decode: decodeParameterDescription, encode: encodeParameterDescription } = message(
  'ParameterDescription',
  BACKEND.ParameterDescription,
  { parameterTypes: TYPE_OIDS },
);

export const { decode: decodeParameterStatus, encode: encodeParameterStatus } = message(
  'ParameterStatus',
  BACKEND.ParameterStatus,
  { name: STRING, value: STRING },
);

const TRANSACTION_STATUSES = ['idle', 'transaction', 'failed'] as const;
export type TransactionStatus = (typeof TRANSACTION_STATUSES)[number];

const STATUS_BYTES: Readonly<Record<TransactionStatus, number>> = {
  idle: 0x49,
  transaction: 0x54,
  failed: 0x45,
};

const STATUS: MessageField<TransactionStatus> = {
  read(reader) {
    const byte = reader.u8();
    for (const status of TRANSACTION_STATUSES) if (STATUS_BYTES[status] === byte) return status;
    throw new ProtocolError(`ReadyForQuery has the unknown status ${byte}`);
  },
  write: (writer, status) => writer.u8(STATUS_BYTES[status]),
};

export const { decode: decodeReadyForQuery, encode: encodeReadyForQuery } = message(
  'ReadyForQuery',
  BACKEND.ReadyForQuery,
  { status: STATUS },
);

const FIELD = {
  name: STRING,
  /** 0: computed, no column of a table. */
  tableOid: U32,
  /** pg_attribute.attnum; 0: no column of a table. */
  columnNumber: I16,
  typeOid: U32,
  /** pg_type.typlen; negative: variable. */
  typeSize: I16,
  typeModifier: I32,
  /** 0 in the answer to Describe of a statement, where it is not known yet. */
  format: I16,
} as const;

export type FieldDescription = ValuesOf<typeof FIELD>;

/** NUL of the name, and the numbers. */
const LEAST_FIELD_BYTES = 19;

export const { decode: decodeRowDescription, encode: encodeRowDescription } = message(
  'RowDescription',
  BACKEND.RowDescription,
  { fields: list(U16, record(FIELD), LEAST_FIELD_BYTES) },
);
