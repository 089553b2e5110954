/** Which PostgreSQL is tested with: its binaries, and the test drivers that come beside it. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerInstallation } from './suite.ts';

/** @param given a directory with bin/postgres; default: the newest that Debian has installed. */
export function findInstallation(given: string | undefined): ServerInstallation {
  const debian = globSync('/usr/lib/postgresql/*')
    .filter((path) => existsSync(join(path, 'bin', 'postgres')))
    .sort((a, b) => majorOf(b) - majorOf(a));
  const root = given ?? debian[0];
  if (root === undefined || !existsSync(join(root, 'bin', 'postgres'))) {
    throw new Error(
      `no PostgreSQL server ${given === undefined ? 'is installed' : `in "${given}"`}; on Debian: apt-get install postgresql postgresql-contrib postgresql-server-dev-all, or name one with --postgres DIR`,
    );
  }
  const said = execFileSync(join(root, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' });
  const version = /\d+(\.\d+)*/.exec(said)?.[0] ?? '';
  return { root, version, major: Number.parseInt(version, 10) };
}

function majorOf(path: string): number {
  return Number.parseInt(path.slice(path.lastIndexOf('/') + 1), 10);
}

/** A client program of the same installation, else the one on PATH. */
export function clientProgram(server: ServerInstallation, name: string): string {
  const own = join(server.root, 'bin', name);
  return existsSync(own) ? own : name;
}

/** pg_regress and its like, which Debian ships in postgresql-server-dev-NN. */
export function testDriver(
  server: ServerInstallation,
  path: 'regress/pg_regress' | 'isolation/pg_isolation_regress',
): string | undefined {
  return ['lib', 'lib/postgresql']
    .map((lib) => join(server.root, lib, 'pgxs/src/test', path))
    .find((file) => existsSync(file));
}

/** What to say where a suite of PostgreSQL's own cannot run. */
export function missingSource(
  source: string | undefined,
  server: ServerInstallation,
  path: 'regress/pg_regress' | 'isolation/pg_isolation_regress',
): string | undefined {
  if (testDriver(server, path) === undefined) {
    return `${path} is not installed; on Debian: apt-get install postgresql-server-dev-${server.major}`;
  }
  if (source === undefined) {
    return `it needs PostgreSQL's source of version ${server.version}: --source DIR; on Debian: apt-get source --download-only postgresql-${server.major} (with deb-src in the sources), and unpack the .orig tarball`;
  }
  const configure = join(source, 'configure');
  const said = existsSync(configure)
    ? /PACKAGE_VERSION='([^']+)'/.exec(execFileSync('head', ['-700', configure]).toString())?.[1]
    : undefined;
  if (said === undefined) return `"${source}" is no source of PostgreSQL`;
  if (Number.parseInt(said, 10) !== server.major) {
    return `"${source}" is the source of version ${said}, the server is ${server.version}`;
  }
  return undefined;
}
