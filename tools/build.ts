/** Makes dist/: TypeScript to JavaScript file by file, and the screen with ink in one bundle. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');
process.chdir(root);

if (isFresh()) {
  say('dist is up to date');
} else {
  // Beside, then in its place: a build that runs while another process starts hoop breaks neither.
  const fresh = `dist.${process.pid}`;
  try {
    const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', fresh], {
      stdio: 'inherit',
    });
    await bundleScreen(fresh);
    writeManPage(fresh);
    rmSync('dist', { recursive: true, force: true });
    renameSync(fresh, 'dist');
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  say('built dist');
}

/**
 * ink and react are 40 packages and take 0.3 s to import; bundled they take a third of that and
 * need not be installed by users. Only what draws is bundled: project modules stay shared.
 */
async function bundleScreen(outDirectory: string): Promise<void> {
  await build({
    entryPoints: ['src/ui/screen.ts'],
    outfile: join(outDirectory, 'ui', 'screen.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    define: { 'process.env.NODE_ENV': '"production"' },
    alias: { 'react-devtools-core': './tools/empty-module.js' },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    legalComments: 'inline',
    allowOverwrite: true,
    logLevel: 'warning',
  });
}

/** From the program that has just been built, so that it never says anything else. */
function writeManPage(outDirectory: string): void {
  const main = pathToFileURL(join(root, outDirectory, 'main.js')).href;
  const script = `import(${JSON.stringify(main)}).then(({ main }) => main())`;
  const text = execFileSync(process.execPath, ['-e', script, 'hoop', 'man'], { encoding: 'utf8' });
  mkdirSync(join(outDirectory, 'man'), { recursive: true });
  writeFileSync(join(outDirectory, 'man', 'hoop.1'), text);
}

function isFresh(): boolean {
  if (!existsSync('dist/main.js') || !existsSync('dist/man/hoop.1')) {
    return false;
  }
  const built = statSync('dist/main.js').mtimeMs;
  const inputs = [
    ...globSync('src/**/*'),
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'tools/build.ts',
  ];
  return inputs.every((file) => statSync(file).mtimeMs < built);
}

function say(text: string): void {
  if (!quiet) {
    process.stdout.write(`${text}\n`);
  }
}
