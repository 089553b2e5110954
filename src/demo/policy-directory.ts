/**
 * A policy of the user's own in the demo (`--policy DIR`). The demo's identity provider has a port
 * of its own at each start, so it is put into hoop.yaml; targets without an address get the
 * demo's server. Everything else stays as it is, faults included: the gateway reports them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { HoopError } from '../errors.ts';

export interface PolicyDirectory {
  readonly files: Readonly<Record<string, string>>;
  /** Targets whose address is not in the policy. */
  readonly targets: readonly string[];
  /** Names of the credentials that the targets ask the gateway for. */
  readonly credentials: readonly string[];
}

const MAX_FILES = 1000;

export function readPolicyDirectory(
  directory: string,
  provider: { readonly issuer: string; readonly clientId: string },
): PolicyDirectory {
  const files = readTextFiles(directory);
  const main = files['hoop.yaml'];
  if (main === undefined) {
    throw new HoopError('HOOP_USAGE', `"${directory}" has no hoop.yaml`, {
      hint: 'A policy directory holds hoop.yaml, targets/*.yaml and policies/*.yaml.',
    });
  }
  const document = parseDocument(main);
  document.set('identityProviders', [
    {
      issuer: provider.issuer,
      clientId: provider.clientId,
      scopes: ['openid', 'email', 'profile', 'groups'],
      claims: { name: 'name', email: 'email', groups: 'groups' },
    },
  ]);
  const targets: string[] = [];
  const credentials = new Set<string>();
  for (const [path, text] of Object.entries(files)) {
    if (path.startsWith('targets/')) {
      const target = parseDocument(text);
      const name = target.get('name');
      if (typeof name === 'string' && !target.has('address')) {
        targets.push(name);
      }
      const credential = target.get('credential');
      if (typeof credential === 'string') {
        credentials.add(credential);
      }
    }
  }
  return {
    files: { ...files, 'hoop.yaml': String(document) },
    targets,
    credentials: [...credentials],
  };
}

function readTextFiles(directory: string): Record<string, string> {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new HoopError('HOOP_USAGE', `"${directory}" is not a directory`);
  }
  const files: Record<string, string> = {};
  for (const entry of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = entry.replaceAll('\\', '/');
    if (!path.split('/').includes('.git') && statSync(join(directory, entry)).isFile()) {
      files[path] = readFileSync(join(directory, entry), 'utf8');
    }
    if (Object.keys(files).length > MAX_FILES) {
      throw new HoopError('HOOP_USAGE', `"${directory}" holds more than ${MAX_FILES} files`);
    }
  }
  return files;
}
