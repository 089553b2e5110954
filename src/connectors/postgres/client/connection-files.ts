/**
 * The two files that let an unmodified libpq client connect without a password in its arguments:
 * a service file and a password file, both 0600 in the session's own 0700 directory.
 * https://www.postgresql.org/docs/current/libpq-pgservice.html and …/libpq-pgpass.html
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../../errors.ts';
import { localUser } from '../../../local-user.ts';
import type { Secret } from '../../../secret.ts';

export interface ConnectionFacts {
  /** The target's name, which is the service's name. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: Secret<string>;
  /** Of the session's own CA, for verify-full; undefined: the port offers no TLS. */
  readonly caFile: string | undefined;
}

export interface ConnectionFiles {
  readonly serviceFile: string;
  readonly passwordFile: string;
}

/** One service for each target, and what libpq asks the password file for. */
export function writeConnectionFiles(
  directory: string,
  targets: readonly ConnectionFacts[],
): ConnectionFiles {
  const serviceFile = join(directory, 'pg_service.conf');
  const passwordFile = join(directory, 'pgpass');
  const services = targets.map((facts) => serviceOf(facts, passwordFile));
  const options = { mode: 0o600, flag: 'wx' } as const;
  writeFileSync(serviceFile, services.join('\n'), options);
  writeFileSync(passwordFile, targets.map(passwordsOf).join(''), options);
  return { serviceFile, passwordFile };
}

function serviceOf(facts: ConnectionFacts, passwordFile: string): string {
  const values = [facts.name, facts.host, facts.user, facts.database];
  if (values.some((value) => /[\p{Cc}]/u.test(value)) || facts.name.includes(']')) {
    throw new HoopError(
      'HOOP_LOCAL_PORT',
      'the name of the target cannot be used in a service file',
      {
        detail: 'It contains a control character or a bracket.',
      },
    );
  }
  const { username } = localUser();
  const lines = [
    `[${facts.name}]`,
    `host=${facts.host}`,
    `port=${facts.port}`,
    `user=${facts.user}`,
    `dbname=${facts.database}`,
    `passfile=${passwordFile}`,
    // On a socket libpq can check who listens (SO_PEERCRED): us and nobody else. It goes by names,
    // and fails where we have none; the directory of the socket is ours alone either way.
    ...(isSocket(facts) && username !== undefined ? [`requirepeer=${username}`] : []),
    ...tlsSettings(facts).map(([name, value]) => `${name}=${value}`),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * For any database and user: address and port are this session's alone, and programs choose others
 * (`psql -l` and createdb the database `postgres`, `psql -U`). Without an entry libpq asks for a
 * password that nobody has; with one the refusal says what to connect to.
 */
function passwordsOf(facts: ConnectionFacts): string {
  const address = [facts.host, String(facts.port)].map(escapeField);
  const entry = [...address, '*', '*', escapeField(facts.password.expose())].join(':');
  // The certificate names both, and libpq before 15 can only verify the second.
  const byName = isSocket(facts) ? '' : `localhost${entry.slice(facts.host.length)}\n`;
  return `${entry}\n${byName}`;
}

function isSocket({ host }: ConnectionFacts): boolean {
  return host.startsWith('/');
}

/** A certificate is no secret; but whoever could replace it could take our place. */
export function writeCaFile(directory: string, ca: string): string {
  const caFile = join(directory, 'ca.pem');
  writeFileSync(caFile, ca, { mode: 0o600, flag: 'wx' });
  return caFile;
}

/** As libpq names them. */
export function tlsSettings({ caFile }: ConnectionFacts): readonly (readonly [string, string])[] {
  return caFile === undefined
    ? []
    : [
        ['sslmode', 'verify-full'],
        ['sslrootcert', caFile],
      ];
}

/** For DATABASE_URL and `--url`. */
export function connectionUrl(facts: ConnectionFacts): string {
  const user = encodeURIComponent(facts.user);
  const login = `${user}:${encodeURIComponent(facts.password.expose())}`;
  const database = encodeURIComponent(facts.database);
  return isSocket(facts)
    ? `postgresql://${login}@/${database}?host=${encodeURIComponent(facts.host)}&port=${facts.port}`
    : `postgresql://${login}@${facts.host}:${facts.port}/${database}${tlsQuery(facts)}`;
}

function tlsQuery(facts: ConnectionFacts): string {
  const settings = tlsSettings(facts).map(
    ([name, value]) => `${name}=${encodeURIComponent(value)}`,
  );
  return settings.length === 0 ? '' : `?${settings.join('&')}`;
}

function escapeField(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}
