import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { inject } from 'vitest';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../src/demo/embedded-postgres.ts';
import { openTarget } from '../src/demo/sample-target.ts';

/** A server of a test's own, as `startEmbeddedPostgres`, without the second that initdb takes. */
export async function startTestPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  // That of another version has nothing to do with it.
  if (options.native !== undefined) return startEmbeddedPostgres(options);
  return startEmbeddedPostgres({ template: await postgresTemplate(), ...options });
}

export async function postgresTemplate(): Promise<string> {
  return madeOnce('postgres', (dataDirectory) => startEmbeddedPostgres({ dataDirectory }));
}

/** With the sample data of a demo. */
export async function demoTemplate(): Promise<string> {
  const { signal } = new AbortController();
  const made = await madeOnce('demo', async (directory) =>
    openTarget({ directory, template: await postgresTemplate(), signal }),
  );
  return join(made, 'postgres');
}

/** Made by the first that needs it; what two make at the same time is the same. */
async function madeOnce(
  name: string,
  start: (directory: string) => Promise<AsyncDisposable>,
): Promise<string> {
  const shared = inject('sharedDirectory');
  const template = join(shared, name);
  if (!existsSync(template)) {
    const made = mkdtempSync(join(shared, `${name}-`));
    chmodSync(made, 0o711);
    await (await start(made))[Symbol.asyncDispose]();
    try {
      renameSync(made, template);
    } catch (error) {
      if (!existsSync(template)) throw error;
      rmSync(made, { recursive: true });
    }
  }
  return template;
}

/**
 * File by file, without a record of each page in the log: a fifth of the work, and what is only for
 * tests needs no log. Before 15 there is no other way, and no word for it.
 */
export async function copyDatabase(
  server: EmbeddedPostgres,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const superuser = new pg.Client({ connectionString: server.url() });
  await superuser.connect();
  try {
    const { rows } = await superuser.query(
      `SELECT current_setting('server_version_num')::int AS n`,
    );
    const strategy = rows[0].n >= 150_000 ? 'STRATEGY FILE_COPY' : '';
    await superuser.query(`CREATE DATABASE ${to} TEMPLATE ${from} ${strategy}`);
  } finally {
    await superuser.end();
  }
}
