import { join } from 'node:path';

/** Below HOOP_HOME: what is kept of each session, its journal. */
export function spoolsOf(home: { readonly state: string }): string {
  return join(home.state, 'sessions');
}

/** Below HOOP_HOME: recordings that were fetched because the settings want all of them. */
export function recordingsOf(home: { readonly state: string }): string {
  return join(home.state, 'recordings');
}
