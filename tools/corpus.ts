/**
 * Runs the acceptance corpus (test/corpus) through hoop as it is: real login, real gateway, one
 * `hoop connect` for each of the three profiles, the runner of the corpus as the client.
 *
 *   npm run corpus [-- --only REGEX --verbose …]     options go to test/corpus/run.mjs
 *
 * Another set of the same kind: --cases FILE --load SCHEMA.sql, and --policy DIR for a policy whose
 * targets are called analyst, maintainer and dba.
 */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDemo } from '../src/demo/demo.ts';
import { startHoop } from '../src/demo/hoop-process.ts';
import { connectAdmin } from '../src/demo/sample-target.ts';

const args = process.argv.slice(2);
/** Takes an option of ours, or one with another default than the runner's, out of the arguments. */
function take(name: string, otherwise: string): string {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? otherwise : (args.splice(at, 2)[1] ?? otherwise);
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const corpus = join(root, 'test', 'corpus');
/** Roles and passwords that schema.sql makes. */
const credentials = {
  analyst: { user: 'gw_reader', password: 'reader-pw' },
  maintainer: { user: 'gw_writer', password: 'writer-pw' },
  dba: { user: 'gw_super', password: 'super-pw' },
} as const;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(signal)));
}
const say = (text: string): void => {
  process.stderr.write(`corpus: ${text}\n`);
};

const policy = take('policy', join(corpus, 'policy'));
const schema = take('load', join(corpus, 'schema.sql'));
const gate = take('gate', 'must');

await using demo = await startDemo({
  policy,
  credentials,
  note: say,
  signal: interrupted.signal,
});
const admin = new URL(demo.target.adminUrl);
admin.pathname = '/postgres';

// The database must exist for the sessions to start; the runner makes it anew by itself.
const setup = await connectAdmin(admin.href);
await setup.query('CREATE DATABASE bypassdb');
await setup.end();
const roles = await connectAdmin(admin.href);
for (const { user, password } of Object.values(credentials)) {
  await roles.query(
    `CREATE ROLE ${user} LOGIN ${user === 'gw_super' ? 'SUPERUSER REPLICATION ' : ''}PASSWORD '${password}'`,
  );
}
await roles.end();

await using connections = new AsyncDisposableStack();
const urls: Record<string, string> = {};
let isDone = false;
for (const profile of Object.keys(credentials)) {
  const connection = connections.use(
    await startHoop(['connect', profile, '--json'], 'listening', {
      home: demo.homes['engineer'] ?? '',
      signal: interrupted.signal,
    }),
  );
  urls[profile] = String(connection.ready['url']);
  // Every case after that fails: whoever reads the result must see why.
  void connection.exited.then(() => {
    if (!isDone) {
      say(`the session of ${profile} ended in the middle: ${connection.log()}`);
    }
  });
}
say('sessions are open; running the corpus');
const runner = spawn(
  process.execPath,
  [
    join(corpus, 'run.mjs'),
    ...[
      '--url',
      urls['analyst'] ?? '',
      '--maintainer-url',
      urls['maintainer'] ?? '',
      '--dba-url',
      urls['dba'] ?? '',
    ],
    ...['--admin-url', admin.href, '--load', schema, '--gate', gate, '--keep-going'],
    ...args,
  ],
  { stdio: 'inherit', env: { ...process.env, PG_MODULE_DIR: root } },
);
process.exitCode = await new Promise<number>((resolve) =>
  runner.once('close', (code) => resolve(code ?? 1)),
);
isDone = true;
