/** What a replay keeps of a recording. All of it is counted; the rest can be downloaded. */
export interface ReplayLimits {
  /** Rows kept of one result. */
  readonly rows: number;
  /** Characters kept of one value. */
  readonly valueLength: number;
  /** Characters kept of one statement's text. */
  readonly statementLength: number;
  /** Bytes of output kept of one channel. */
  readonly outputLength: number;
  /** Characters of rows and output kept in the whole session; after that they are counted only. */
  readonly keptLength: number;
}

export const REPLAY_LIMITS: ReplayLimits = {
  rows: 50,
  valueLength: 2000,
  statementLength: 20_000,
  outputLength: 16 * 1024,
  // 64 Mi characters are 128 MiB at worst, beside React and the bundle itself.
  keptLength: 64 * 1024 * 1024,
};

/** Counts down what may still be kept of the whole session. */
export interface Budget {
  left: number;
}

/** Body bytes of a message that is decoded; a gateway forwards no longer statement. */
export const MAX_DECODED_LENGTH = 64 * 1024 * 1024;
/** Body bytes of a DataRow that is decoded for display; longer ones are counted. */
export const MAX_ROW_LENGTH = 1024 * 1024;
/** Messages sent and not yet answered on one connection; honest pipelines are far shorter. */
export const MAX_PENDING = 100_000;
/** Prepared statements and portals of one connection. */
export const MAX_NAMES = 100_000;
/** Finished statements that wait for the gateway's count of them. */
export const MAX_HELD = 256;
/** Channels of one connection that are open at once; a gateway allows far fewer. */
export const MAX_OPEN_CHANNELS = 1024;
/** Variables and requests kept of one channel. */
export const MAX_OF_CHANNEL = 100;
/** Decisions about files whose end is not recorded yet, of one connection. */
export const MAX_OPEN_FILES = 10_000;
