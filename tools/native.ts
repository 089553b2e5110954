/**
 * Builds the native part of ssh2 for the Node.js that hoop runs on here. Nothing needs it: without,
 * SSH is slower. `npm install` builds it for the Node.js of npm, which is often another one.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = dirname(process.execPath);
/** The package of the runtime has the headers of its own version; npm would fetch others. */
const home = dirname(bin);
const hasHeaders = existsSync(join(home, 'include', 'node', 'node.h'));

const built = spawnSync(
  'npm',
  ['rebuild', 'ssh2', '--foreground-scripts', '--ignore-scripts=false'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: [bin, process.env['PATH'] ?? ''].join(delimiter),
      ...(hasHeaders ? { npm_config_nodedir: home } : {}),
    },
  },
);
const isLoaded =
  built.status === 0 &&
  execFileSync(
    process.execPath,
    ['-p', "require('ssh2/lib/protocol/crypto.js').bindingAvailable"],
    { cwd: root, encoding: 'utf8' },
  ).trim() === 'true';
process.stdout.write(
  isLoaded
    ? `ssh2 has its native part for Node.js ${process.versions.node}\n`
    : 'ssh2 has no native part: see above; everything works without\n',
);
process.exitCode = isLoaded ? 0 : 1;
