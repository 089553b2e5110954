/** The two policies under which hoop is compared with the server. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const TARGET = 'conformance';

/** Verbs are `set NAME`, so only these can be named. */
const NAMEABLE = /^[a-z_][a-z0-9_]*$/;

/** @returns a directory for `startDemo({ policy })`; the caller removes it. */
export function writePolicy(
  kind: 'passthrough' | 'strict',
  database: string,
  settings: readonly string[],
): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-conformance-policy-'));
  for (const folder of ['targets', 'policies']) mkdirSync(join(directory, folder));
  const write = (path: string, value: unknown): void =>
    // JSON is YAML.
    writeFileSync(join(directory, path), `${JSON.stringify(value, undefined, 2)}\n`);
  write('hoop.yaml', { version: 1, org: 'conformance', identityProviders: [] });
  write('targets/conformance.yaml', {
    name: TARGET,
    kind: 'postgres',
    database,
    credential: TARGET,
    tls: { mode: 'disable' },
    recording: 'full',
  });
  write('policies/everything.yaml', {
    name: 'everything',
    who: { groups: ['engineering'] },
    targets: { names: [TARGET] },
    limits: { maxConnections: 100 },
    ...(kind === 'passthrough' ? { statements: 'anything' } : { rules: allowAll(settings) }),
  });
  return directory;
}

/** As much as rules can allow: what is refused under them is refused by a guard that no rule lifts. */
function allowAll(settings: readonly string[]): unknown {
  const set = settings.filter((name) => NAMEABLE.test(name)).map((name) => `set ${name}`);
  return [
    { name: 'all', allow: { verbs: ['*'] } },
    { name: 'functions', allow: { functions: ['*.*'] } },
    {
      name: 'system',
      allow: { verbs: ['*'], relations: ['pg_catalog.*', 'information_schema.*', 'pg_toast.*'] },
    },
    { name: 'settings', allow: { verbs: set } },
  ];
}
