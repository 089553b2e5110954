/** What a replay keeps of a recording. All of it is counted; the rest can be downloaded. */
export interface ReplayLimits {
  /** Rows kept of one result. */
  readonly rows: number;
  /** Characters kept of one value. */
  readonly valueLength: number;
  /** Characters kept of one statement's text. */
  readonly statementLength: number;
  /** Characters of rows kept in the whole session; after that rows are counted only. */
  readonly keptLength: number;
}

export const REPLAY_LIMITS: ReplayLimits = {
  rows: 50,
  valueLength: 2000,
  statementLength: 20_000,
  // 64 Mi characters are 128 MiB at worst, beside React and the bundle itself.
  keptLength: 64 * 1024 * 1024,
};

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
