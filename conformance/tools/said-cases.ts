/** Cases of a program that says each as a line of JSON: `{ name, result }` or `{ name, error }`. */
import type { ProgramResult } from '../program.ts';
import type { Outputs } from '../suite.ts';

/** Pretty, so that a difference is a line for each value. */
export function saidCases({ exitCode, stdout, stderr }: ProgramResult): Outputs {
  const cases = new Map<string, string>();
  for (const line of stdout.split('\n')) {
    if (line === '') continue;
    const value = parsed(line);
    const name = value === undefined ? 'not a case' : value.name;
    const text = value === undefined ? line : JSON.stringify(value, undefined, 1);
    cases.set(name, `${cases.get(name) ?? ''}${text}\n`);
  }
  const last = exitCode === 0 ? '' : stderr.slice(-3000);
  return cases.set('exit status', `${exitCode}\n${last}`);
}

function parsed(line: string): { readonly name: string } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isCase = typeof value === 'object' && value !== null && 'name' in value;
    return isCase ? { ...value, name: String(value.name) } : undefined;
  } catch {
    return undefined;
  }
}
