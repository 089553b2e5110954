/** targets/*.yaml as zod schemas: databases and servers. */
import * as z from 'zod';
import type { PolicyConnector } from './connector.ts';
import { Groups, Name, strict, TerminalOff, Text } from './schema-parts.ts';

/** Servers of one target; each may take its whole connectTimeout. */
export const MAX_HOSTS = 16;

const Address = z.string().refine((text) => parseAddress(text) !== undefined, 'expected host:port');
const COMMON = {
  name: Name,
  description: Text.optional(),
  connectTimeout: z
    .string()
    .regex(/^[1-9][0-9]?s$/, 'expected 1s to 60s')
    .transform((text) => Number.parseInt(text, 10))
    .refine((seconds) => seconds <= 60, 'expected 1s to 60s')
    .default(10)
    .describe('For each address, up to a complete login; e.g. "5s".'),
  credential: Name.optional().describe('Name of a credential in the gateway configuration.'),
  credentials: z
    .array(strict({ groups: Groups, credential: Name }))
    .default([])
    .describe('Credentials by group; the first entry that fits is taken.'),
  labels: z.record(Name, z.string().max(200)).default({}),
  terminal: TerminalOff,
  recording: z
    .literal('full', {
      error: 'expected "full": every session is recorded whole, there is no other way',
    })
    .default('full'),
};

const Tls = strict({
  mode: z
    .enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'])
    .default('prefer'),
  ca: z
    .string()
    .regex(/^-----BEGIN CERTIFICATE-----\n/, 'expected a PEM certificate')
    .optional()
    .describe('PEM certificate(s) of the CA.'),
  negotiation: z
    .enum(['postgres', 'direct'])
    .default('postgres')
    .describe('direct: TLS from the first byte, for PostgreSQL 17 and later.'),
  channelBinding: z
    .enum(['disable', 'prefer', 'require'])
    .default('prefer')
    .describe('SCRAM-SHA-256-PLUS: the password is proved together with the certificate.'),
})
  .refine((tls) => tls.mode !== 'verify-ca' || tls.ca !== undefined, {
    // Every public CA would do, and none of them says for whom the certificate is.
    error: 'verify-ca needs a CA of your own in ca; use verify-full for public ones',
    path: ['mode'],
  })
  .refine((tls) => tls.negotiation !== 'direct' || !isOptional(tls.mode), {
    error: 'direct needs mode require, verify-ca or verify-full',
    path: ['negotiation'],
  })
  .refine((tls) => tls.channelBinding !== 'require' || !isOptional(tls.mode), {
    error: 'require needs mode require, verify-ca or verify-full: it binds to the certificate',
    path: ['channelBinding'],
  });

function isOptional(mode: string): boolean {
  return mode === 'disable' || mode === 'allow' || mode === 'prefer';
}

const PostgresTarget = strict({
  ...COMMON,
  kind: z.literal('postgres'),
  address: z
    .union([Address, z.array(Address).min(1, 'expected at least one address').max(MAX_HOSTS)], {
      error: 'expected host:port, or a list of them',
    })
    .optional()
    .describe(
      'host:port, or a list, tried in this order. The gateway configuration may say it instead, and wins.',
    ),
  targetSessionAttrs: z
    .enum(['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'])
    .default('any')
    .describe('Which of several servers is taken, as in libpq.'),
  database: z.string().min(1).max(63),
  tls: Tls.prefault({}),
  requireAuth: z
    .array(z.enum(['scram-sha-256', 'md5', 'password', 'password-without-tls', 'none']))
    .min(1, 'expected at least one way to log in')
    .default(['scram-sha-256', 'md5', 'password', 'none'])
    .describe(
      'How the server may ask for the credential. "password" is clear text, and only over TLS.',
    ),
});

/** targets/*.yaml of a hoop with these connectors. */
export function targetFile(connectors: readonly PolicyConnector[]) {
  const own = connectors.map(({ kind, targetKeys }) =>
    strict({ ...COMMON, kind: z.literal(kind), ...targetKeys }),
  );
  const kinds = ['postgres', ...connectors.map(({ kind }) => kind)].map((kind) => `"${kind}"`);
  return z
    .discriminatedUnion('kind', [PostgresTarget, ...own], {
      error: ({ code, input }) =>
        code === 'invalid_union' || input === undefined
          ? `expected ${kinds.join(' or ')}`
          : undefined,
    })
    .describe('targets/*.yaml: one database, or one server.');
}

const Common = strict({ ...COMMON, kind: z.string() });
export type CommonTarget = z.output<typeof Common>;
export type PostgresTargetFile = z.output<typeof PostgresTarget>;

/** `host:port`, `[v6]:port`; undefined when it is neither. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const parts =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9]([A-Za-z0-9.-]{0,252})))(?::)([0-9]{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[4]);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
