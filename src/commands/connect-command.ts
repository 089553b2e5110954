/** The environment of a command that is run on a session. */

import { connectionUrl } from '../connectors/postgres/client/connection-files.ts';
import { sshEnvironment } from '../connectors/ssh/client/ssh-files.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';

/** What libpq and drivers would read besides what we set; anything left here leads elsewhere. */
const INHERITED = /^PG[A-Z]+$|^DATABASE_URL$/;
/** Settings of the person that have nothing to do with where the connection goes. */
const HARMLESS = new Set(['PGAPPNAME', 'PGTZ', 'PGDATESTYLE', 'PGGEQO', 'PGCLIENTENCODING']);
export function commandEnvironment(
  env: NodeJS.ProcessEnv,
  session: ClientSession,
): NodeJS.ProcessEnv {
  if (session.ssh !== undefined) {
    return { ...env, ...sshEnvironment(session.ssh.files, env), HOOP_SESSION: session.id };
  }
  const kept = Object.entries(env).filter(([name]) => HARMLESS.has(name) || !INHERITED.test(name));
  const { facts, files } = session;
  return {
    ...Object.fromEntries(kept),
    PGHOST: facts.host,
    PGPORT: String(facts.port),
    PGUSER: facts.user,
    PGDATABASE: facts.database,
    PGPASSFILE: files.passwordFile,
    PGSERVICEFILE: files.serviceFile,
    ...(facts.caFile === undefined
      ? {}
      : { PGSSLMODE: 'verify-full', PGSSLROOTCERT: facts.caFile }),
    DATABASE_URL: connectionUrl(facts),
    HOOP_SESSION: session.id,
  };
}
