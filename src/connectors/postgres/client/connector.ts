/** Databases for programs of this machine: local ports, and the files and variables of libpq. */
import { randomBytes } from 'node:crypto';
import { LIBPQ_SETTINGS } from '../../../libpq-settings.ts';
import { Secret } from '../../../secret.ts';
import { shellWord } from '../../../shell-word.ts';
import type {
  BriefingWords,
  ClientConnector,
  Endpoint,
  LocalOffer,
  LocalPlace,
  ServedTarget,
  TargetFacts,
  Told,
} from '../../../tunnel/connector.ts';
import {
  type ConnectionFacts,
  type ConnectionFiles,
  connectionUrl,
  tlsSettings,
  writeCaFile,
  writeConnectionFiles,
} from './connection-files.ts';
import { LocalPort } from './local-port.ts';
import type { LocalTls } from './local-tls.ts';

const PASSWORD_BYTES = 24;
/** The gateway logs in with the target's own role; without a session the port knows only this name. */
const LOCAL_USER = 'hoop';
/** What libpq and drivers would read besides what we set; anything left there leads elsewhere. */
const INHERITED = /^PG[A-Z]+$|^DATABASE_URL$/;

/** What an agent has to know of databases. */
export const POSTGRES_BRIEFING: BriefingWords = {
  title: 'Database access',
  recorded: 'Every statement and its result is',
  way: ({ connect, database }) => {
    const where = [
      ...(connect.urlVariable === undefined ? [] : [`the URL in \`${connect.urlVariable}\``]),
      ...(connect.isDefault
        ? ['`DATABASE_URL`, and PGHOST, PGPORT, PGUSER, PGDATABASE for psql and most drivers']
        : []),
    ].join('; also ');
    const base = database === undefined ? '' : ` Database \`${database}\`.`;
    return `Connect with ${where || 'the service file in `PGSERVICEFILE`'}.${base} There is no other way in, so do not look for a password.`;
  },
  denials: `## When a statement is refused
It fails as a PostgreSQL error, mostly SQLSTATE 42501, with the rule in DETAIL and what to do in HINT:

    ERROR:  statement is not allowed
    DETAIL:  It is denied by rule "policy/rule".
    HINT:  What the people who wrote the rule say to do instead.

Do not try to get around it by other words, functions or views: it will be refused too, and all of it is recorded. Follow the hint, do without, or ask. A statement that waits for approval shows a NOTICE with the request's id and goes on by itself once approved. If your tool gives up before, the request waits on: send exactly the same statement again, it joins the request or uses its approval.`,
};

export const postgresClient: ClientConnector = {
  noun: 'a database',
  briefing: POSTGRES_BRIEFING,
  open: (place) => new PostgresOffer(place),
};

class PostgresOffer implements LocalOffer {
  readonly #place: LocalPlace;
  readonly #served: ConnectionFacts[] = [];
  #files: ConnectionFiles | undefined;

  constructor(place: LocalPlace) {
    this.#place = place;
  }

  async serve({ target, listener, tlsUntil, ...rest }: ServedTarget): Promise<LocalPort> {
    const { name } = target;
    const tls = tlsUntil === undefined ? undefined : await makeTls(tlsUntil);
    const facts: ConnectionFacts = {
      name,
      host: listener.host,
      port: listener.port,
      user: textOf(target, 'user') ?? LOCAL_USER,
      database: textOf(target, 'database') ?? name,
      password: this.#place.secret ?? new Secret(randomBytes(PASSWORD_BYTES).toString('base64url')),
      caFile: tls && writeCaFile(this.#place.directory, tls.ca),
    };
    this.#served.push(facts);
    return new LocalPort({ ...rest, ...facts, listener, tls });
  }

  endpoint(isNamed: boolean): Endpoint {
    const served = this.#served;
    const files = this.#written();
    const main = isNamed || served.length === 1 ? served[0] : undefined;
    return {
      env: {
        PGPASSFILE: files.passwordFile,
        PGSERVICEFILE: files.serviceFile,
        ...(main && environmentOf(main)),
      },
      hides: (variable) => INHERITED.test(variable) && !LIBPQ_SETTINGS.includes(variable),
      urls: new Map(served.map((facts) => [facts.name, connectionUrl(facts)])),
      main: main?.name,
      notes:
        main === undefined
          ? ['several databases and none named: PGHOST and DATABASE_URL are not set']
          : [],
    };
  }

  told(form: 'url' | 'words'): Told {
    const [facts] = this.#served;
    if (facts === undefined) {
      throw new TypeError('nothing is served');
    }
    const { name, host, port, user, database, caFile } = facts;
    const url = connectionUrl(facts);
    return {
      facts: { host, port, user, database, ...Object.fromEntries(tlsSettings(facts)) },
      secrets: { url, password: facts.password.expose() },
      hasMasks: true,
      before:
        caFile === undefined
          ? []
          : [`TLS only: sslmode=verify-full sslrootcert=${shellWord(caFile)}`],
      line:
        form === 'url'
          ? url
          : `PGSERVICEFILE=${shellWord(this.#written().serviceFile)} psql service=${shellWord(name)}`,
    };
  }

  #written(): ConnectionFiles {
    this.#files ??= writeConnectionFiles(this.#place.directory, this.#served);
    return this.#files;
  }
}

/** Nobody else waits for certificates to be loaded. */
async function makeTls(until: number): Promise<LocalTls> {
  const { LocalTls } = await import('./local-tls.ts');
  return new LocalTls(until);
}

function environmentOf(facts: ConnectionFacts): Readonly<Record<string, string>> {
  const { host, port, user, database, caFile } = facts;
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGDATABASE: database,
    ...(caFile === undefined ? {} : { PGSSLMODE: 'verify-full', PGSSLROOTCERT: caFile }),
    DATABASE_URL: connectionUrl(facts),
  };
}

function textOf(target: TargetFacts, fact: 'user' | 'database'): string | undefined {
  const value = target[fact];
  return typeof value === 'string' ? value : undefined;
}
