/** How the gateway logs in to the database of its store. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import type { PostgresStoreConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import { networkText } from '../targets/network-text.ts';
import { tlsText } from '../targets/tls-text.ts';

export type PostgresConnection = Readonly<
  Pick<pg.PoolConfig, 'host' | 'port' | 'user' | 'database' | 'password' | 'ssl'>
>;

/** What messages call its login. */
const LOGIN = 'store';

/**
 * The password is read at each connection, so that a new one needs no restart; certificates at the
 * start.
 * @throws HOOP_CONFIG
 */
export async function postgresConnection(
  { host, port, database, login, tls }: PostgresStoreConfig,
  { env, log }: { readonly env: NodeJS.ProcessEnv; readonly log: Log },
): Promise<PostgresConnection> {
  const logins = new ConfigCredentialStore({ credentials: { [LOGIN]: login }, env, log });
  await logins.check();
  const { user, password, clientCertificate } = await logins.credential(LOGIN);
  const ca = tls.caFile === undefined ? undefined : await readCa(tls.caFile);
  return {
    ...{ host, port, database, user },
    ...(password === undefined
      ? {}
      : { password: async () => (await logins.credential(LOGIN)).password?.expose() ?? '' }),
    ssl:
      tls.mode === 'disable'
        ? false
        : {
            // As libpq does it: with a CA at hand, `require` checks the chain too.
            rejectUnauthorized: tls.mode !== 'require' || ca !== undefined,
            ...(ca === undefined ? {} : { ca }),
            ...(clientCertificate === undefined
              ? {}
              : {
                  cert: clientCertificate.certificate,
                  key: clientCertificate.privateKey.expose(),
                }),
            ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
          },
  };
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read "${path}" of the store`, { cause });
  }
}

/** Of `host:port/database`, for whoever runs the gateway. */
export function storePlace({ host, port, database }: PostgresConnection): string {
  return `${host}:${port}/${database}`;
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const REFUSED: Readonly<Record<string, { readonly text: string; readonly hint: string }>> = {
  '28000': { text: 'refuses the login', hint: 'Check pg_hba.conf there, and `store.tls` here.' },
  '28P01': { text: 'refuses the password', hint: 'Check `store.user` and `store.password`.' },
  '3D000': { text: 'has no such database', hint: 'Create it, or correct `store.url`.' },
  '42501': {
    text: 'does not let this role in',
    hint: 'Give it CONNECT on the database and CREATE on its schema.',
  },
};

/** @returns why the store could not be opened, in words */
export function openingError(cause: unknown, connection: PostgresConnection): HoopError {
  const place = `As role "${connection.user}" at ${storePlace(connection)}.`;
  const refused = cause instanceof pg.DatabaseError ? REFUSED[cause.code ?? ''] : undefined;
  if (refused !== undefined) {
    const { text, hint } = refused;
    return new HoopError('HOOP_CONFIG', `the server of the store ${text}`, {
      detail: place,
      hint,
      cause,
    });
  }
  return new HoopError('HOOP_STORE_UNAVAILABLE', 'cannot reach the gateway’s store', {
    detail: `${whyUnreachable(cause)} ${place}`,
    hint: 'Check `store` in the configuration, and the server.',
    cause,
  });
}

function whyUnreachable(cause: unknown): string {
  if (cause instanceof pg.DatabaseError) return `The server cannot serve now (${cause.code}).`;
  const tls = tlsText(cause);
  if (tls !== undefined) return tls;
  // Texts of pg, for which it has no codes.
  const text = cause instanceof Error ? cause.message : '';
  if (/does not support SSL/.test(text)) return 'The server does not offer TLS.';
  if (/timeout/i.test(text) || errorCode(cause) === undefined) return 'The server does not answer.';
  return networkText(cause);
}
