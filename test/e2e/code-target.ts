/**
 * The demo's database under a second name, without masks: who masks nothing may let code run (DO,
 * LISTEN), and so notices, notifications and settings by the thousand come through.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './demo-bench.ts';

/** The name of the target. */
export const CODE_TARGET = 'code-db';

/** Starts the gateway anew. */
export async function addCodeTarget({ demo }: Bench): Promise<void> {
  const file = join(demo.directory, 'gateway.yaml');
  const config = readFileSync(file, 'utf8');
  const address = /^ {2}prod-db: (127\S+|localhost\S+)$/m.exec(config)?.[1];
  if (address === undefined) {
    throw new Error('the demo has no address of prod-db');
  }
  await demo.policy.commit({
    message: CODE_TARGET,
    files: {
      [`targets/${CODE_TARGET}.yaml`]: `name: ${CODE_TARGET}
kind: postgres
database: shop
credential: prod-db
recording: full
`,
      [`policies/${CODE_TARGET}.yaml`]: `name: ${CODE_TARGET}
who: { groups: [engineering] }
targets: { names: [${CODE_TARGET}] }
rules:
  - name: code
    allow: { verbs: [do, listen, select] }
`,
    },
  });
  writeFileSync(file, config.replace('addresses:\n', `addresses:\n  ${CODE_TARGET}: ${address}\n`));
  await demo.restartGateway();
}
