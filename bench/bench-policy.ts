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

const SSH_RULES = `limits: { maxConnections: ${MAX_CONNECTIONS} }
rules:
  - name: work
    allow: { ssh: exec, commands: ['**'] }
  - name: files
    allow: { ssh: sftp }
`;

/** Two of the eight columns of the table of bench-data.ts. */
const MASKS = `masks:
  - { column: public.bench_people.email, mask: partial }
  - { column: public.bench_people.card_number, mask: full }
`;

/**
 * @param hostKeys - of the server of the rows about SSH; undefined: none is installed.
 * @returns the directory; the caller removes it.
 */
export function writeBenchPolicy(hostKeys: readonly string[] | undefined): string {
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
  if (hostKeys !== undefined) {
    const keys = hostKeys.map((key) => `  - ${key}\n`).join('');
    write(
      'targets/bench-ssh.yaml',
      `name: bench-ssh\nkind: ssh\ncredential: bench-ssh\nhostKeys:\n${keys}recording: full\n`,
    );
    write(
      'policies/bench-ssh.yaml',
      `name: bench-ssh\nwho: { groups: [engineering] }\ntargets: { names: [bench-ssh] }\n${SSH_RULES}`,
    );
  }
  return directory;
}
