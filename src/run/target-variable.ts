/** The name of the environment variable that holds a target's URL: `prod-db` → `HOOP_PROD_DB_URL`. */
import { HoopError } from '../errors.ts';

/** Variables of ours that mean something else. */
const TAKEN: ReadonlySet<string> = new Set(['HOOP_CONTEXT_URL', 'HOOP_GATEWAY_URL']);

/** Upper case; each character that a variable's name cannot hold becomes `_`. */
export function targetVariable(target: string): string {
  return `HOOP_${target.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_URL`;
}

/**
 * @returns by target
 * @throws HoopError HOOP_USAGE when two targets would get the same variable
 */
export function targetVariables(targets: readonly string[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const target of targets) {
    const variable = targetVariable(target);
    const other = owners.get(variable);
    if (other !== undefined) {
      throw new HoopError('HOOP_USAGE', `"${other}" and "${target}" would share a variable`, {
        detail: `Both would be in ${variable}, so a program could not tell which one it uses.`,
        hint: 'Name one of them with --target, and use the other in a separate run.',
      });
    }
    if (TAKEN.has(variable)) {
      throw new HoopError('HOOP_USAGE', `the target "${target}" would take ${variable}`, {
        detail: 'That variable has another meaning for programs under hoop.',
        hint: 'Omit this target: name those that you need with --target.',
      });
    }
    owners.set(variable, target);
  }
  return new Map([...owners].map(([variable, target]) => [target, variable]));
}
