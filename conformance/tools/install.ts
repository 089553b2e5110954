/**
 * Installs what the tools are made of, with the ordinary clients of their registries. Versions stand
 * in requirements/*.txt, node/packages.json and java/pom.xml. An installation is kept and used
 * again until these files change.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SourceName } from './tool.ts';

export const HERE = fileURLToPath(new URL('./', import.meta.url));

export interface Installation {
  readonly directory: string;
  /** Package → version, as asked for. */
  readonly versions: ReadonlyMap<string, string>;
}

type Run = (file: string, args: readonly string[], directory: string) => Promise<void>;

/** @throws with what the package client said. */
export async function install(
  source: Exclude<SourceName, 'server'>,
  packages: string,
  run: Run,
): Promise<Installation> {
  const directory = join(packages, source);
  const list = { node: 'node/packages.json', java: 'java/pom.xml' };
  const file = join(
    HERE,
    source === 'node' || source === 'java' ? list[source] : `requirements/${source}.txt`,
  );
  const text = readFileSync(file, 'utf8');
  const mark = join(directory, 'installed');
  const wanted = createHash('sha256').update(text).digest('hex');
  const isThere = existsSync(mark) && readFileSync(mark, 'utf8') === wanted;
  if (!isThere) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    await (source === 'node' ? fromNpm : source === 'java' ? fromMaven : fromPypi)(
      directory,
      file,
      run,
    );
    writeFileSync(mark, wanted);
  }
  await copyPrograms(source, directory, run);
  return { directory, versions: versionsOf(source, text) };
}

async function fromPypi(directory: string, requirements: string, run: Run): Promise<void> {
  await run('python3', ['-m', 'venv', join(directory, 'venv')], directory);
  const pip = join(directory, 'venv/bin/pip');
  await run(pip, ['install', '--quiet', '--requirement', requirements], directory);
}

async function fromNpm(directory: string, list: string, run: Run): Promise<void> {
  copyFileSync(list, join(directory, 'package.json'));
  // No script of a package runs: these tools need none.
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], directory);
}

async function fromMaven(directory: string, pom: string, run: Run): Promise<void> {
  copyFileSync(pom, join(directory, 'pom.xml'));
  const goal = 'dependency:copy-dependencies';
  await run('mvn', ['--quiet', '--batch-mode', goal, '-DoutputDirectory=lib'], directory);
}

/** Programs stand beside what they import; those in Java are compiled. */
async function copyPrograms(source: SourceName, directory: string, run: Run): Promise<void> {
  if (source === 'node') {
    cpSync(join(HERE, 'node'), directory, { recursive: true });
    copyFileSync(join(HERE, '../drivers/say.mjs'), join(directory, 'say.mjs'));
  }
  if (source === 'java') {
    const classes = join(directory, 'classes');
    rmSync(classes, { recursive: true, force: true });
    const programs = globSync(join(HERE, 'java/*.java'));
    const path = ['-classpath', join(directory, 'lib/*')];
    await run('javac', [...path, '-parameters', '-d', classes, ...programs], directory);
    cpSync(join(HERE, 'java/migrations'), join(classes, 'migrations'), { recursive: true });
  }
}

function versionsOf(source: SourceName, text: string): ReadonlyMap<string, string> {
  const pattern =
    source === 'node'
      ? /"([^"]+)": "(\d[^"]*)"/g
      : source === 'java'
        ? /<artifactId>([^<]+)<\/artifactId>\s*<version>([^<]+)<\/version>/g
        : /^([^=\s]+)==(\S+)$/gm;
  return new Map(
    Array.from(text.matchAll(pattern), ([, name = '', version = '']) => [name, version]),
  );
}
