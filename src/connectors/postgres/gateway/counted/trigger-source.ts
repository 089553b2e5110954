/** A trigger function as pg_proc has it: its text or library, and what it runs with. */
import type { Row } from '../catalog/catalog-rows.ts';

export interface TriggerSource {
  /** pg_proc.prosrc: PL/pgSQL, or the name of a function in C. */
  readonly text: string;
  readonly library: string | undefined;
  /** PL/pgSQL that is read as usual. Wherever it looks up names is all the same (trigger-effects.ts). */
  readonly isPlain: boolean;
}

/** @param row of the functions */
export function triggerSource(row: Row): TriggerSource | undefined {
  const parsed: unknown = row[17] ? JSON.parse(row[17]) : [];
  const [text, library, settings]: unknown[] = Array.isArray(parsed) ? parsed : [];
  if (typeof text !== 'string') return undefined;
  return {
    text,
    library: typeof library === 'string' ? library : undefined,
    isPlain: row[8] === 'plpgsql' && isUsualSettings(settings),
  };
}

/** @param settings pg_proc.proconfig: a search_path alone only says where names are looked up */
export function isUsualSettings(settings: unknown): boolean {
  const isPath = (one: unknown): boolean => String(one).startsWith('search_path=');
  return Array.isArray(settings) ? settings.every(isPath) : settings === null;
}
