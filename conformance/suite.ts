/** What a suite is to the runner, and what the runner gives to a suite. */
import type { ProgramOptions, ProgramResult } from './program.ts';

export type LaneName = 'direct' | 'passthrough' | 'strict';

/** Where the clients of a suite connect to: the server itself, or the local port of `hoop connect`. */
export interface Lane {
  readonly name: LaneName;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly url: string;
}

/** The PostgreSQL installation that is tested with. */
export interface ServerInstallation {
  /** Directory that holds bin/. */
  readonly root: string;
  readonly major: number;
  /** As `postgres --version` says it: 15.18. */
  readonly version: string;
}

export interface RunOptions {
  /** PostgreSQL's source, of the server's major version: for the SQL of its suites. */
  readonly source: string | undefined;
  /** Checkouts of other suites: `--path NAME=DIR`. */
  readonly paths: Readonly<Record<string, string>>;
  /** Cases to run, by name, where a suite can choose; empty: all. */
  readonly cases: readonly string[];
  readonly fuzz: { readonly seed: number; readonly seconds: number };
}

export interface SuiteContext {
  readonly lane: Lane;
  /** The same database straight on the server, as superuser. */
  readonly adminUrl: string;
  /** HOOP_HOME of who may connect; undefined on the lane without hoop. */
  readonly home: string | undefined;
  /** Calls the listener with what the server writes to its log, until it is disposed of. */
  readonly onServerLog: (listener: (text: string) => void) => Disposable;
  readonly options: RunOptions;
  readonly server: ServerInstallation;
  /** An empty directory that the server's account may write to as well; removed afterwards. */
  readonly scratch: string;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  /** Runs a program with PG* set for the lane. */
  readonly runProgram: (
    file: string,
    args: readonly string[],
    options?: ProgramOptions,
  ) => Promise<ProgramResult>;
}

/** Name of a case → what it printed, without what differs from run to run (times, ports, ids). */
export type Outputs = ReadonlyMap<string, string>;

export interface Suite {
  readonly name: string;
  /** @returns undefined when it can run; else what is missing and how to get it. */
  missing(options: RunOptions, server: ServerInstallation): string | undefined;
  /** Straight on the server, before each lane. */
  prepare?(context: SuiteContext): Promise<void>;
  run(context: SuiteContext): Promise<Outputs>;
}
