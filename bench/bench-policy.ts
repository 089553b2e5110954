/** The policy of the bench's two targets, as a directory that `hoop demo --policy` takes. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_CONNECTIONS } from './options.ts';

const RULES = `limits: { maxConnections: ${MAX_CONNECTIONS} }
rules:
  - name: work
    allow: { verbs: [select, insert, copy], relations: ['public.*'] }
`;

/** Two of the eight columns of the table of bench-data.ts. */
const MASKS = `masks:
  - { column: public.bench_people.email, mask: partial }
  - { column: public.bench_people.card_number, mask: full }
`;

/** @returns the directory; the caller removes it. */
export function writeBenchPolicy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-policy-'));
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
  mkdirSync(join(directory, 'targets'));
  mkdirSync(join(directory, 'policies'));
  write('hoop.yaml', 'version: 1\norg: bench\nidentityProviders: []\n');
  for (const [name, masks] of [
    ['bench-allow', ''],
    ['bench-masked', MASKS],
  ] as const) {
    write(
      `targets/${name}.yaml`,
      `name: ${name}\nkind: postgres\ndatabase: shop\ncredential: prod-db\nrecording: full\n`,
    );
    write(
      `policies/${name}.yaml`,
      `name: ${name}\nwho: { groups: [engineering] }\ntargets: { names: [${name}] }\n${masks}${RULES}`,
    );
  }
  return directory;
}
