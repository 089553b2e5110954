/** What a tool is to the runner, and what the runner gives to it. */
import type { ProgramOptions, ProgramResult } from '../program.ts';
import type { Lane, Outputs, ServerInstallation } from '../suite.ts';

/** Where tools come from; each source is installed once, with versions that stand in this folder. */
export type SourceName = 'server' | 'python' | 'dbt' | 'pgadmin' | 'superset' | 'node' | 'java';

export interface ToolContext {
  readonly lane: Lane;
  readonly server: ServerInstallation;
  /** Directory of the tool's installation; empty for `server`. */
  readonly installed: string;
  /** An empty directory of the tool's own, the same path on every lane. */
  readonly scratch: string;
  /** Runs a program with PG* set for the lane. */
  readonly runProgram: (
    file: string,
    args: readonly string[],
    options?: ProgramOptions,
  ) => Promise<ProgramResult>;
}

export interface Tool {
  readonly name: string;
  readonly source: SourceName;
  /** Whose version stands beside it; undefined for what comes with the server. */
  readonly package: string | undefined;
  /** Name of a case → what the tool showed or threw. */
  run(context: ToolContext): Promise<Outputs>;
}
