/**
 * `npm run conformance:keycloak`: logins at a real Keycloak, set up with the blocks of
 * docs/providers/keycloak.md as they stand there.
 *
 *   --version V     of Keycloak (default 26.3.5), fetched with Maven into --cache
 *   --cache DIR     default: hoop-keycloak in the directory for temporary files
 *   --server URL    one that runs already, with the administrator admin/admin
 *
 * Exit status 0: all of it went as it should.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKeycloak } from './keycloak.ts';
import { runLogins } from './logins.ts';

const { values: flags } = parseArgs({
  options: {
    version: { type: 'string', default: '26.3.5' },
    cache: { type: 'string', default: join(tmpdir(), 'hoop-keycloak') },
    server: { type: 'string' },
  },
});

await using keycloak = await startKeycloak(flags);
let failed = 0;
await runLogins(keycloak, async (title, work) => {
  try {
    await work();
    process.stdout.write(`ok      ${title}\n`);
  } catch (error) {
    failed += 1;
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stdout.write(`FAILED  ${title}\n        ${why}\n`);
  }
});
process.exitCode = failed === 0 ? 0 : 1;
