/**
 * Where agents that hoop knows keep their logins, and the keys of others that stand beside them: of
 * the agent that is run they go into a fence, and of no other one.
 */
import { join } from 'node:path';
import { BUILT_IN_PROFILES } from './built-in-profiles.ts';

/** Names below the home directory. */
export interface AgentLogins {
  /** Who opens one of these has that agent inside. */
  readonly state: readonly string[];
  readonly logins: readonly string[];
}

export const AGENT_LOGINS: readonly AgentLogins[] = BUILT_IN_PROFILES.map(({ state = [] }) => {
  const entries = state.map((entry) =>
    'file' in entry
      ? { path: nameOf(entry.file), logins: [nameOf(entry.file)] }
      : {
          // With a name in it, it is found where a variable has moved it.
          path: `${nameOf(entry.path)}/.`,
          logins: [
            ...Object.keys(entry.keepMembers ?? {}),
            ...Object.keys(entry.showMembers ?? {}),
            ...(entry.hide ?? []),
          ].map((name) => join(nameOf(entry.path), name)),
        },
  );
  return {
    state: entries.map(({ path }) => path),
    logins: [...new Set(entries.flatMap(({ logins }) => logins))],
  };
});

function nameOf(path: string): string {
  return path.replace(/^~\//, '').replace(/\/$/, '');
}
