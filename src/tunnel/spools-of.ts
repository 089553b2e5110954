import { join } from 'node:path';

/** Below HOOP_HOME: one directory per session that is not uploaded yet, or not pruned yet. */
export function spoolsOf(home: { readonly state: string }): string {
  return join(home.state, 'sessions');
}
