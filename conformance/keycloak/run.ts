/**
 * `npm run conformance:keycloak`: docs/deploy.md and docs/providers/keycloak.md as they stand there,
 * followed on an empty directory with a real Keycloak, and logins of all kinds at it.
 *
 *   --version V     of Keycloak (default 26.3.5), fetched with Maven into --cache
 *   --cache DIR     default: hoop-keycloak in the directory for temporary files
 *   --only PART     deploy or logins
 *
 * Exit status 0: all of it went as it should.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runDeployment } from './deploy.ts';
import { startKeycloak } from './keycloak.ts';
import { runLogins } from './logins.ts';

const { values: flags } = parseArgs({
  options: {
    version: { type: 'string', default: '26.3.5' },
    cache: { type: 'string', default: join(tmpdir(), 'hoop-keycloak') },
    only: { type: 'string' },
  },
});

const PARTS = { deploy: runDeployment, logins: runLogins };
if (flags.only !== undefined && !Object.hasOwn(PARTS, flags.only)) {
  throw new Error(`--only ${flags.only}: not one of ${Object.keys(PARTS).join(', ')}`);
}

await using keycloak = await startKeycloak(flags);
let failed = 0;
const step = async (title: string, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
    process.stdout.write(`ok      ${title}\n`);
  } catch (error) {
    failed += 1;
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stdout.write(`FAILED  ${title}\n        ${why}\n`);
  }
};
for (const [part, work] of Object.entries(PARTS)) {
  if (flags.only === undefined || flags.only === part) await work(keycloak, step);
}
process.exitCode = failed === 0 ? 0 : 1;
