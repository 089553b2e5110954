/**
 * What a stream carries: PostgreSQL from the StartupMessage on, a CancelRequest, frames of
 * connectors/ssh/protocol, or what the program of `hoop run` shows on its terminal (up only, for the record).
 */
export const STREAM_KINDS = ['postgres', 'cancel', 'ssh', 'terminal'] as const;
export type StreamKind = (typeof STREAM_KINDS)[number];
