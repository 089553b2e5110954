/**
 * Packs the package as `npm publish` would, looks at it with publint, installs the tarball in an
 * empty directory and starts the program there: the client alone, then the demo with the parts
 * that one named command adds.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PEER_PACKAGES } from '../src/demo/peer-packages.ts';
import { makeDirectoryInMemory } from '../test/in-memory.ts';
import { runStep } from './prerequisites.ts';

export function checkPackage(): { ok: boolean; output: string } {
  const inMemory = makeDirectoryInMemory();
  const directory = mkdtempSync(join(inMemory ?? tmpdir(), 'hoop-package-'));
  const app = join(directory, 'app');
  const hoop = (...args: string[]) =>
    runStep(process.execPath, [join(app, 'node_modules', 'hoop', 'bin', 'hoop.js'), ...args], {
      ...process.env,
      ...(inMemory === undefined ? {} : { TMPDIR: inMemory }),
    });
  try {
    const steps: (() => { ok: boolean; output: string })[] = [
      () => runStep(join('node_modules', '.bin', 'publint'), ['--strict']),
      () =>
        runStep('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory]),
      () => install(directory),
      () => hoop('--help'),
      () => hoop('--version'),
      () => npmInstall(app, ...PEER_PACKAGES.names),
      () => hoop('demo', '--check'),
    ];
    let output = '';
    for (const step of steps) {
      const result = step();
      output += result.output;
      if (!result.ok) {
        return { ok: false, output };
      }
    }
    return { ok: true, output };
  } finally {
    rmSync(inMemory ?? directory, { recursive: true, force: true });
  }
}

function install(directory: string): { ok: boolean; output: string } {
  const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz'));
  const app = join(directory, 'app');
  if (!tarball) {
    return { ok: false, output: 'npm pack made no tarball\n' };
  }
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"private":true}\n');
  return npmInstall(app, join(directory, tarball));
}

function npmInstall(app: string, ...packages: string[]): { ok: boolean; output: string } {
  const quiet = ['--no-audit', '--no-fund', '--silent'];
  return runStep('npm', ['install', '--prefix', app, ...quiet, ...packages]);
}
