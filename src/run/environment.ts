/**
 * What the child of a run finds in its environment: what was there, without what leads past hoop,
 * and then what each part of the run adds. A part that comes later wins.
 */
import type { RemovalReason } from './removed-variables.ts';

/** What one part of the run sets, by name. */
export type EnvironmentPart = Readonly<Record<string, string>>;

export interface VariableRules {
  /** @returns undefined: the child gets it */
  reason(name: string, value: string): RemovalReason | undefined;
}

export interface RunEnvironment {
  readonly variables: NodeJS.ProcessEnv;
  /** What the run has set, sorted by name. */
  readonly set: ReadonlyMap<string, string>;
  /** Names that the child gets as they were, sorted. */
  readonly kept: readonly string[];
  /** What was there and is not any more, sorted by name. */
  readonly removed: ReadonlyMap<string, RemovalReason>;
}

export function buildEnvironment(
  inherited: NodeJS.ProcessEnv,
  rules: VariableRules,
  parts: readonly EnvironmentPart[],
): RunEnvironment {
  const set = new Map(parts.flatMap((part) => Object.entries(part)).toSorted(byName));
  const removed = new Map<string, RemovalReason>();
  const kept: [string, string][] = [];
  for (const [name, value = ''] of Object.entries(inherited).toSorted(byName)) {
    if (set.has(name)) {
      continue;
    }
    const reason = rules.reason(name, value);
    if (reason === undefined) {
      kept.push([name, value]);
    } else {
      removed.set(name, reason);
    }
  }
  return {
    variables: Object.fromEntries([...kept, ...set]),
    set,
    kept: kept.map(([name]) => name),
    removed,
  };
}

function byName(
  [a]: readonly [string, ...unknown[]],
  [b]: readonly [string, ...unknown[]],
): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
