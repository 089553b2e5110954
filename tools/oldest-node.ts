/**
 * `npm run conformance:node`: what `npm test` runs, on the oldest Node.js that package.json promises.
 * (`npm test` has the one that this checkout brings.) It comes from npm, which has it for Linux and
 * Windows on x64 only, into a temporary directory that is removed at the end.
 *
 *   npm run conformance:node -- test/policy       only these tests
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

const Package = z.object({ engines: z.object({ node: z.templateLiteral(['>=', z.string()]) }) });

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { engines } = Package.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
const platform = process.platform === 'win32' ? 'win' : process.platform;
const name = `node-${platform}-${process.arch}@${engines.node.slice('>='.length)}`;

const directory = mkdtempSync(join(tmpdir(), 'hoop-oldest-node-'));
// Some tests are an ordinary user's.
chmodSync(directory, 0o755);
try {
  process.stderr.write(`conformance:node: ${name}\n`);
  execFileSync(
    'npm',
    [
      'install',
      ...['--prefix', directory, '--no-save', '--no-package-lock', '--no-audit', '--no-fund'],
      name,
    ],
    { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  // Whatever the tests start as `node` comes from PATH.
  const { status } = spawnSync('node', ['tools/test.ts', ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: [join(directory, 'node_modules', '.bin'), process.env['PATH']].join(delimiter),
    },
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
