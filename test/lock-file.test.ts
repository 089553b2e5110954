import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as z from 'zod';

const Versions = z.record(z.string(), z.string()).default({});
const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      integrity: z.string().optional(),
      resolved: z.string().optional(),
      link: z.boolean().default(false),
      dependencies: Versions,
      optionalDependencies: Versions,
    }),
  ),
});
const { packages } = Lock.parse(JSON.parse(readFileSync('package-lock.json', 'utf8')));

/** Where Node.js looks for a package: beside whoever needs it, then further up. */
function locked(from: string, name: string): string | undefined {
  const folders = from
    .split('/node_modules/')
    .map((_, index, parts) => parts.slice(0, index + 1).join('/node_modules/'));
  return ['', ...folders]
    .map((folder) => (folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`))
    .findLast((path) => path in packages);
}

test('the lock file has each package that one on any platform needs, so that npm ci takes it', () => {
  const missing = Object.entries(packages).flatMap(([path, needs]) =>
    Object.keys({ ...needs.dependencies, ...needs.optionalDependencies })
      .filter((name) => locked(path, name) === undefined)
      .map((name) => `${path} needs ${name}`),
  );
  expect(missing).toEqual([]);
});

test('each locked package has its hash, and none names where it came from', () => {
  const fetched = Object.entries(packages).filter(
    ([path, { link }]) => path.includes('node_modules/') && !link,
  );
  expect(fetched.length).toBeGreaterThan(200);
  for (const [path, { integrity, resolved }] of fetched) {
    expect(integrity, path).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
    expect(resolved, path).toBeUndefined();
  }
});

test('Node.js is of one version on every platform', () => {
  const runtime = Object.keys(packages['tools/runtime']?.optionalDependencies ?? {});
  expect(runtime.length).toBeGreaterThan(3);
  const [first, ...others] = runtime.map((name) => packages[`node_modules/${name}`]?.version);
  expect(first).toMatch(/^\d+\.\d+\.\d+$/);
  expect(new Set(others)).toEqual(new Set([first]));
});
