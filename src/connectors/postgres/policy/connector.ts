/** PostgreSQL as the policy sees it: keys of targets; its rules are those about statements. */
import * as z from 'zod';
import type { PolicyConnector } from '../../../policy/connector.ts';
import type { PolicyTarget } from '../../../policy/policy.ts';
import { strict } from '../../../policy/schema/schema-parts.ts';
import { MAX_HOSTS, parseAddress } from '../../../policy/schema/target-schema.ts';
import type { PostgresPolicyTarget } from './target.ts';

const Address = z.string().refine((text) => parseAddress(text) !== undefined, 'expected host:port');

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
    .describe('SCRAM-SHA-256-PLUS: binds the password proof to the certificate.'),
})
  .refine((tls) => tls.mode !== 'verify-ca' || tls.ca !== undefined, {
    // Every public CA would do, and none of them says for whom the certificate is.
    error: 'verify-ca needs your own CA in ca; use verify-full for public ones',
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

const TARGET_KEYS = {
  address: z
    .union([Address, z.array(Address).min(1, 'expected at least one address').max(MAX_HOSTS)], {
      error: 'expected host:port, or a list of them',
    })
    .optional()
    .describe(
      'host:port, or a list, tried in this order. The gateway configuration can override it.',
    ),
  targetSessionAttrs: z
    .enum(['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'])
    .default('any')
    .describe('Which of several servers to use, as in libpq.'),
  database: z.string().min(1).max(63),
  tls: Tls.prefault({}),
  requireAuth: z
    .array(z.enum(['scram-sha-256', 'md5', 'password', 'password-without-tls', 'none']))
    .min(1, 'expected at least one way to log in')
    .default(['scram-sha-256', 'md5', 'password', 'none'])
    .describe(
      'How the server may ask for the credential. "password" is clear text, and only over TLS.',
    ),
};
type PostgresTargetFile = z.output<z.ZodObject<typeof TARGET_KEYS>>;

export const postgresPolicy: PolicyConnector<typeof TARGET_KEYS> = {
  kind: 'postgres',
  targetKeys: TARGET_KEYS,
  targetFrom: databaseFrom,
  rules: 'statements',
};

function databaseFrom(
  value: PostgresTargetFile,
): Omit<PostgresPolicyTarget, Exclude<keyof PolicyTarget, 'addresses' | 'database'>> {
  return {
    addresses: [value.address ?? []].flat().flatMap((text) => parseAddress(text) ?? []),
    sessionAttributes: value.targetSessionAttrs,
    database: value.database,
    tls: { ...value.tls, ca: value.tls.ca },
    loginMethods: value.requireAuth,
  };
}
