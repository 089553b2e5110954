/**
 * What the child of a run finds in its environment: what was there, without what leads past hoop,
 * and then what each part of the run adds. A part that comes later wins.
 */
import type { RemovedVariables } from './removed-variables.ts';

/** What one part of the run sets, by name. */
export type EnvironmentPart = Readonly<Record<string, string>>;

export interface RunEnvironment {
  readonly variables: NodeJS.ProcessEnv;
  /** Names that the run has set. */
  readonly set: readonly string[];
  /** Names that were there and are not any more. */
  readonly removed: readonly string[];
}

export function buildEnvironment(
  inherited: NodeJS.ProcessEnv,
  removed: RemovedVariables,
  parts: readonly EnvironmentPart[],
): RunEnvironment {
  const own: EnvironmentPart = Object.assign({}, ...parts);
  const gone = Object.keys(inherited).filter((name) => removed.has(name));
  const left = Object.entries(inherited).filter(([name]) => !removed.has(name));
  return {
    variables: { ...Object.fromEntries(left), ...own },
    set: Object.keys(own).sort(),
    removed: gone.filter((name) => !(name in own)).sort(),
  };
}
