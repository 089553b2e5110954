/** A function in SQL as pg_proc has it. */
import type { FunctionSource } from '../../policy/calls/function-body.ts';
import { isUsualSettings } from '../counted/trigger-source.ts';
import type { Row } from './catalog-rows.ts';

/**
 * @param row of the functions
 * @returns undefined: another kind of function, or one that runs with settings that change what it does
 */
export function sqlFunctionSource(row: Row): FunctionSource | undefined {
  if (row[8] !== 'sql' || !row[17]) return undefined;
  const parsed: unknown = JSON.parse(row[17]);
  const [text, , settings, definition, defaults]: unknown[] = Array.isArray(parsed) ? parsed : [];
  if (typeof text !== 'string' || !isUsualSettings(settings)) return undefined;
  const isBound = typeof definition === 'string';
  const names: unknown = row[15] ? JSON.parse(row[15]) : [];
  return {
    text: isBound ? definition : text,
    isBound,
    defaults: typeof defaults === 'string' ? defaults : undefined,
    parameters: Array.isArray(names) ? names.map(String) : [],
  };
}
