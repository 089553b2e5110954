/** The gateway's own configuration: what is not policy. See docs for a commented example. */
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { problemLine } from '../../policy/load-policy.ts';
import { readYaml, type YamlDocument } from '../../policy/yaml-document.ts';

export type PasswordSource =
  | { readonly from: 'env'; readonly name: string }
  | { readonly from: 'file'; readonly path: string };

export interface CredentialConfig {
  readonly user: string;
  readonly password: PasswordSource | undefined;
  readonly clientCertificate: CertificateFiles | undefined;
  /** Of SSH: PEM or OpenSSH's format, without a passphrase. */
  readonly privateKeyFile: string | undefined;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** A database of PostgreSQL in which the gateway keeps what outlives a request. */
export interface PostgresStoreConfig extends HostAndPort {
  readonly database: string;
  /** Not among `credentials`: those a policy may name, and so reach with what they open. */
  readonly login: CredentialConfig;
  readonly tls: {
    readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
    /** PEM; undefined: those that Node trusts. */
    readonly caFile: string | undefined;
  };
}

export interface GatewayConfig {
  readonly name: string;
  /** `systemd`: the socket that a service manager passes. */
  readonly listen: HostAndPort | 'systemd';
  /** What clients call it, without a trailing slash; undefined: the address it listens on. */
  readonly publicUrl: string | undefined;
  /** Where people look at a session, with `{id}` in it; undefined: nowhere. */
  readonly sessionUrl: string | undefined;
  readonly tls: CertificateFiles;
  readonly dataDir: string;
  /** Nodes of one store have the same; default: `keys` in the data directory. */
  readonly keysDir: string;
  readonly policy: {
    readonly repository: string;
    readonly branch: string;
    readonly allowedSignersFile: string;
    readonly clientRepository: string | undefined;
    readonly pollSeconds: number;
  };
  /** Wins over the address in targets/*.yaml: how this gateway reaches them. */
  readonly addresses: Readonly<Record<string, readonly HostAndPort[]>>;
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  readonly store: {
    /** undefined: SQLite in the data directory. */
    readonly postgres: PostgresStoreConfig | undefined;
    /** Without an answer of the store live sessions end after so many. */
    readonly endSessionsAfterSeconds: number;
  };
  readonly recording: {
    /** From the end of a session; then the gateway signs its recording alone. */
    readonly uploadWithinSeconds: number;
    /** Of the disk that holds dataDir; with less free no session begins. */
    readonly minFreePercent: number;
  };
  /** Address of the metrics listener; undefined: none. */
  readonly metrics: { readonly listen: HostAndPort } | undefined;
  /** Of what happened: docs/events.md. What is older, or more, is forgotten. */
  readonly events: { readonly days: number; readonly events: number };
  readonly limits: {
    /** Longest message that is collected before it is forwarded: a statement, a row to be masked. */
    readonly messageMiB: number;
  };
}

const Address = z.string().transform((text, context) => {
  const parsed = parseHostAndPort(text);
  if (parsed === undefined) {
    context.addIssue({ code: 'custom', message: 'expected host:port or [ipv6]:port' });
    return z.NEVER;
  }
  return parsed;
});

const Name = z
  .string()
  .regex(/^[a-zA-Z0-9][\w.-]{0,62}$/, 'expected a name of letters, digits, . _ -');
const NonEmpty = z.string().min(1).max(4096);

const PublicUrl = z
  .url({ protocol: /^https$/ })
  .refine((text) => /^https:\/\/[^/?#]+\/?$/.test(text), 'expected https://host[:port] and no path')
  .transform((text) => text.replace(/\/$/, ''));

const Password = z.union(
  [
    z.strictObject({ env: z.string().regex(/^[A-Za-z_]\w*$/, 'expected the name of a variable') }),
    z.strictObject({ file: NonEmpty }),
  ],
  { error: 'expected { env: VARIABLE } or { file: PATH }, never the password itself' },
);

const StoreUrl = z.string().transform((text, context) => {
  const parsed = parseStoreUrl(text);
  if (parsed === undefined) {
    // Without the text: it may hold a password.
    context.addIssue({
      code: 'custom',
      message: 'expected postgres://host[:port]/database; user and password are separate settings',
    });
    return z.NEVER;
  }
  return parsed;
});

const StoreTls = z
  .strictObject({
    mode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']).default('verify-full'),
    ca: NonEmpty.optional(),
  })
  .refine((tls) => tls.mode !== 'verify-ca' || tls.ca !== undefined, {
    error: 'verify-ca needs your own CA in ca; use verify-full for public ones',
    path: ['mode'],
  });

const StoreSection = z
  .strictObject({
    url: StoreUrl.optional(),
    user: z.string().min(1).max(63).optional(),
    password: Password.optional(),
    clientCertificate: z.strictObject({ cert: NonEmpty, key: NonEmpty }).optional(),
    tls: StoreTls.optional(),
    endSessionsAfterSeconds: z.number().int().min(1).max(3600).default(60),
  })
  .refine((store) => (store.url === undefined) === (store.user === undefined), {
    error: 'url and user must be set together',
    path: ['url'],
  })
  .refine(
    ({ url, password, clientCertificate, tls }) =>
      url !== undefined || (password ?? clientCertificate ?? tls) === undefined,
    { error: 'password, clientCertificate and tls need a url', path: ['url'] },
  );

const ConfigFile = z.strictObject({
  version: z.literal(1),
  name: Name,
  listen: z.union([z.literal('systemd'), Address], {
    error: 'expected host:port or [ipv6]:port, or systemd for a socket that systemd passes',
  }),
  publicUrl: PublicUrl.optional(),
  sessionUrl: z
    .string()
    .max(1000)
    .regex(
      /^https:\/\/[\w.:-]+\/[\w./?=&%#~-]*\{id\}[\w./?=&%#~-]*$/,
      'expected https://host/…{id}…',
    )
    .optional(),
  tls: z.strictObject({ cert: NonEmpty, key: NonEmpty }),
  dataDir: NonEmpty,
  keysDir: NonEmpty.optional(),
  policy: z.strictObject({
    repository: NonEmpty.refine((text) => !text.startsWith('-'), 'must not begin with "-"'),
    branch: z
      .string()
      .regex(/^(?!-)[\w./-]{1,200}$/, 'expected a branch name')
      .default('main'),
    allowedSigners: NonEmpty,
    clientRepository: NonEmpty.optional(),
    pollSeconds: z.number().min(0.2).max(3600).default(5),
  }),
  addresses: z
    .record(
      Name,
      z.union([Address.transform((one) => [one]), z.array(Address).min(1).max(16)], {
        error: 'expected host:port or [ipv6]:port, or a list of them',
      }),
    )
    .default({}),
  credentials: z
    .record(
      Name,
      z.strictObject({
        user: z.string().min(1).max(63),
        password: Password.optional(),
        clientCertificate: z.strictObject({ cert: NonEmpty, key: NonEmpty }).optional(),
        privateKeyFile: NonEmpty.optional(),
      }),
    )
    .default({}),
  store: StoreSection.prefault({}),
  recording: z
    .strictObject({
      uploadWithinSeconds: z
        .number()
        .int()
        .min(1)
        .max(30 * 86_400)
        .default(86_400),
      minFreePercent: z.number().min(0).max(90).default(10),
    })
    .prefault({}),
  events: z
    .strictObject({
      keepDays: z.number().min(1).max(3650).default(90),
      keepEvents: z.number().int().min(1000).max(100_000_000).default(1_000_000),
    })
    .prefault({}),
  metrics: z.strictObject({ listen: Address }).optional(),
  // 1024: PostgreSQL sends and takes no longer message.
  limits: z
    .strictObject({ messageMiB: z.number().int().min(1).max(1024).default(64) })
    .prefault({}),
});

/** @throws HOOP_CONFIG, naming file, line and column. */
export async function readGatewayConfig(path: string): Promise<GatewayConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read the gateway configuration "${path}"`, {
      hint: 'Give the path with --config FILE.',
      cause,
    });
  }
  return parseGatewayConfig(text, path);
}

export function parseGatewayConfig(text: string, path: string): GatewayConfig {
  const read = readYaml(path, text);
  if ('problems' in read) {
    throw invalid(path, read.problems.map(problemLine));
  }
  const { document } = read;
  const parsed = ConfigFile.safeParse(document.value);
  if (!parsed.success) {
    // A misspelt key is the cause of the missing one, so it comes first.
    const issues = parsed.error.issues.toSorted(
      (a, b) => Number(b.code === 'unrecognized_keys') - Number(a.code === 'unrecognized_keys'),
    );
    throw invalid(
      path,
      issues.map((issue) => issueLine(path, document, issue)),
    );
  }
  return resolvePaths(parsed.data, dirname(resolve(path)));
}

function resolvePaths(file: z.infer<typeof ConfigFile>, base: string): GatewayConfig {
  const at = (path: string): string => resolve(base, path);
  const credentials = Object.entries(file.credentials).map(
    ([name, { user, password, clientCertificate: files, privateKeyFile }]): [
      string,
      CredentialConfig,
    ] => [
      name,
      {
        user,
        password: password && passwordSource(password, at),
        clientCertificate: files && { certFile: at(files.cert), keyFile: at(files.key) },
        privateKeyFile: privateKeyFile && at(privateKeyFile),
      },
    ],
  );
  return {
    name: file.name,
    listen: file.listen,
    publicUrl: file.publicUrl,
    sessionUrl: file.sessionUrl,
    tls: { certFile: at(file.tls.cert), keyFile: at(file.tls.key) },
    dataDir: at(file.dataDir),
    keysDir: file.keysDir === undefined ? join(at(file.dataDir), 'keys') : at(file.keysDir),
    policy: {
      // A URL or scp-like address stays as it is; a path is relative to the file, as all others.
      repository: /^[a-z][a-z0-9+.-]*:\/\/|^[^/]+@[^/]+:/i.test(file.policy.repository)
        ? file.policy.repository
        : at(file.policy.repository),
      branch: file.policy.branch,
      allowedSignersFile: at(file.policy.allowedSigners),
      clientRepository: file.policy.clientRepository,
      pollSeconds: file.policy.pollSeconds,
    },
    addresses: file.addresses,
    credentials: Object.fromEntries(credentials),
    store: {
      postgres: postgresStore(file.store, at),
      endSessionsAfterSeconds: file.store.endSessionsAfterSeconds,
    },
    recording: file.recording,
    metrics: file.metrics,
    events: { days: file.events.keepDays, events: file.events.keepEvents },
    limits: file.limits,
  };
}

function postgresStore(
  { url, user, password, clientCertificate: files, tls }: z.infer<typeof StoreSection>,
  at: (path: string) => string,
): PostgresStoreConfig | undefined {
  if (url === undefined || user === undefined) return undefined;
  return {
    ...url,
    login: {
      user,
      password: password && passwordSource(password, at),
      clientCertificate: files && { certFile: at(files.cert), keyFile: at(files.key) },
      privateKeyFile: undefined,
    },
    tls: {
      mode: tls?.mode ?? 'verify-full',
      caFile: tls?.ca === undefined ? undefined : at(tls.ca),
    },
  };
}

/** One host, one database, and nothing that would be a secret, or be ignored. */
function parseStoreUrl(text: string): (HostAndPort & { readonly database: string }) | undefined {
  const match =
    /^postgres(?:ql)?:\/\/(\[[0-9a-fA-F:.]+\]|[^\s:@[\]/?#,]+)(?::(\d{1,5}))?\/([^/?#\s]+)$/.exec(
      text,
    );
  const [, host, port = '5432', database] = match ?? [];
  const address = parseHostAndPort(`${host}:${port}`);
  if (address === undefined || address.port === 0 || database === undefined) return undefined;
  try {
    return { ...address, database: decodeURIComponent(database) };
  } catch {
    return undefined;
  }
}

function passwordSource(
  source: z.infer<typeof Password>,
  at: (path: string) => string,
): PasswordSource {
  return 'env' in source
    ? { from: 'env', name: source.env }
    : { from: 'file', path: at(source.file) };
}

/** `host:port` or `[ipv6]:port`; port 0 lets the system choose. */
export function parseHostAndPort(text: string): HostAndPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

function issueLine(file: string, document: YamlDocument, issue: z.core.$ZodIssue): string {
  const at = issue.path.filter((part) => typeof part !== 'symbol');
  const [unknown] = issue.code === 'unrecognized_keys' ? issue.keys : [];
  const place = unknown === undefined ? document.place(at) : document.placeOfKey(at, unknown);
  const key = at.length > 0 ? `"${at.join('.')}": ` : '';
  const isAbsent = issue.message.endsWith('received undefined');
  const message = `${key}${isAbsent ? 'is missing' : lowerFirst(issue.message)}`;
  return problemLine({ file, ...place, message });
}

function invalid(path: string, problems: readonly string[]): HoopError {
  return new HoopError('HOOP_CONFIG', problems[0] ?? `"${path}" is not valid`, {
    detail: problems.length > 1 ? `Also: ${problems.slice(1, 6).join('; ')}.` : undefined,
  });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
