/** The environment of a command that is run on a session. */
import type { ClientSession } from '../tunnel/connect-session.ts';

export function commandEnvironment(
  env: NodeJS.ProcessEnv,
  session: ClientSession,
): NodeJS.ProcessEnv {
  const endpoint = session.offer.endpoint(true);
  const kept = Object.entries(env).filter(([name]) => !endpoint.hides?.(name));
  return { ...Object.fromEntries(kept), ...endpoint.env, HOOP_SESSION: session.id };
}
