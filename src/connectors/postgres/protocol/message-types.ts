/**
 * Type bytes by direction. The same byte means different things in the two directions ('D' is
 * Describe from a client and DataRow from a server), so there are two tables and no third.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export const FRONTEND = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  /** PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse: the server's last request tells. */
  PasswordMessage: 0x70, // p
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
} as const satisfies Record<string, number>;

export const BACKEND = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const satisfies Record<string, number>;

export type FrontendName = keyof typeof FRONTEND;
export type BackendName = keyof typeof BACKEND;

const frontendNames = byType(FRONTEND);
const backendNames = byType(BACKEND);

/** @returns the name of a message that a client may send, or undefined. */
export function frontendName(type: number): FrontendName | undefined {
  return frontendNames.get(type);
}

/** @returns the name of a message that a server may send, or undefined. */
export function backendName(type: number): BackendName | undefined {
  return backendNames.get(type);
}

function byType<Name extends string>(table: Readonly<Record<Name, number>>): Map<number, Name> {
  const names = new Map<number, Name>();
  for (const name in table) {
    names.set(table[name], name);
  }
  return names;
}
