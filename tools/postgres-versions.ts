/**
 * `npm run conformance:versions`: the tests that depend on the server's version, on PostgreSQL 13 to
 * 17. (`npm test` has the newest, and what Debian has installed.) The servers come from npm into a
 * temporary directory, which is removed at the end.
 *
 *   npm run conformance:versions -- 13 17       only these
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLibraryLinks } from '../src/demo/embedded-postgres.ts';

/** Exact, as everything from the registry is here; the last of each major version. */
const VERSIONS: Readonly<Record<string, string>> = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The gateway may keep what it keeps in any of them: all suites that run on both drivers. */
const ON_BOTH = readdirSync(join(root, 'test', 'gateway'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => join('test', 'gateway', file))
  .filter((file) => /\bDRIVERS\b/.test(readFileSync(join(root, file), 'utf8')));
const TESTS = ['test/connectors/postgres/gateway/versions.test.ts', ...ON_BOTH];
const platform = process.platform === 'win32' ? 'windows' : process.platform;
const name = `@embedded-postgres/${platform}-${process.arch}`;
const given = process.argv.slice(2);
const unknown = given.find((major) => VERSIONS[major] === undefined);
if (unknown !== undefined) {
  throw new Error(`"${unknown}" is none of ${Object.keys(VERSIONS).join(', ')}`);
}
const wanted = Object.entries(VERSIONS).filter(
  ([major]) => given.length === 0 || given.includes(major),
);

const directory = mkdtempSync(join(tmpdir(), 'hoop-postgres-versions-'));
try {
  // As root the servers run as nobody, who must be able to enter.
  chmodSync(directory, 0o755);
  const servers = wanted.map(([major, version]) => install(major, version));
  const vitest = join(root, 'node_modules', '.bin', 'vitest');
  const { status } = spawnSync(vitest, ['run', ...TESTS], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, HOOP_TEST_POSTGRES: servers.join(':') },
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** @returns the directory with bin/postgres. */
function install(major: string, version: string): string {
  process.stderr.write(`conformance:versions: ${name}@${version}\n`);
  const prefix = join(directory, major);
  mkdirSync(prefix, { mode: 0o755 });
  execFileSync(
    'npm',
    [
      'install',
      ...['--prefix', prefix, '--no-save', '--no-package-lock', '--no-audit', '--no-fund'],
      ...['--ignore-scripts', `${name}@${version}`],
    ],
    { cwd: prefix, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const native = join(prefix, 'node_modules', ...name.split('/'), 'native');
  // What its install script would have done.
  createLibraryLinks(native);
  return native;
}
