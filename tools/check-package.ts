/**
 * Packs the package as `npm publish` would, looks at it with publint, installs the tarball in an
 * empty directory and starts the program there.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runStep } from './prerequisites.ts';

export function checkPackage(): { ok: boolean; output: string } {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-package-'));
  try {
    const steps: (() => { ok: boolean; output: string })[] = [
      () => runStep(join('node_modules', '.bin', 'publint'), ['--strict']),
      () =>
        runStep('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory]),
      () => install(directory),
      () =>
        runStep(process.execPath, [
          join(directory, 'app', 'node_modules', 'hoop', 'bin', 'hoop.js'),
          '--help',
        ]),
      () =>
        runStep(process.execPath, [
          join(directory, 'app', 'node_modules', 'hoop', 'bin', 'hoop.js'),
          '--version',
        ]),
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
    rmSync(directory, { recursive: true, force: true });
  }
}

function install(directory: string): { ok: boolean; output: string } {
  const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz'));
  const app = join(directory, 'app');
  if (!tarball) {
    return { ok: false, output: 'npm pack made no tarball\n' };
  }
  runStep('mkdir', ['-p', app]);
  writeFileSync(join(app, 'package.json'), '{"private":true}\n');
  return runStep('npm', [
    'install',
    '--prefix',
    app,
    '--no-audit',
    '--no-fund',
    '--silent',
    join(directory, tarball),
  ]);
}
