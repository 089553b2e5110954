/** `workloads:` of hoop.yaml as its author writes it. What the parts mean together: workload-rules.ts. */
import * as z from 'zod';
import { Groups, Issuer, Name, strict } from '../schema/schema-parts.ts';
import { PLATFORM_NAMES } from './platforms.ts';

/** A cluster has two keys while they are rotated; a trust domain some more. */
const MAX_PINNED_KEYS = 32;
const MAX_CLAIMS = 32;
const MAX_VALUES = 100;
/** SPIFFE IDs may have 2048 bytes; everything else is shorter. */
const MAX_VALUE_LENGTH = 2048;

const ClaimName = z.string().min(1).max(200);

/** Text and true/false alone: YAML would round a long number and drop the zeros before it. */
const ClaimValue = z.union(
  [
    z
      .string()
      .min(1)
      .max(MAX_VALUE_LENGTH)
      .refine((text) => !text.includes('*'), 'expected an exact value: there are no wildcards'),
    z.boolean(),
  ],
  { error: 'expected a string; put numbers in quotes' },
);

const Claims = z
  .record(
    ClaimName,
    z.union(
      [ClaimValue, z.array(ClaimValue).min(1, 'expected at least one value').max(MAX_VALUES)],
      {
        error:
          'expected a string (numbers in quotes), or a list of strings of which one must match',
      },
    ),
  )
  .refine((claims) => Object.keys(claims).length > 0, 'expected at least one claim')
  .refine((claims) => Object.keys(claims).length <= MAX_CLAIMS, `expected at most ${MAX_CLAIMS}`);

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'];

/** As the cluster or the trust domain publishes it; `kubectl get --raw /openid/v1/jwks`. */
const PinnedKeys = z
  .object({
    keys: z
      .array(
        z
          .looseObject({ kty: z.enum(['RSA', 'EC', 'OKP']), kid: z.string().optional() })
          .refine(
            (key) => !PRIVATE_MEMBERS.some((member) => Object.hasOwn(key, member)),
            'expected a public key; this one has private parts, so create another',
          ),
      )
      .min(1, 'expected at least one key')
      .max(MAX_PINNED_KEYS),
  })
  .describe('JWKS of an issuer whose keys cannot be fetched: a cluster, a trust domain.');

const TrustDomain = z
  .string()
  .regex(/^spiffe:\/\/[a-z0-9._-]{1,255}$/, 'expected an https URL, or spiffe://TRUST-DOMAIN');

export const Workload = strict(
  {
    name: Name,
    platform: z
      .enum(PLATFORM_NAMES)
      .describe('What is known of its tokens; see docs/workloads.md.'),
    issuer: z
      .union([Issuer, TrustDomain], { error: 'expected an https URL, or spiffe://TRUST-DOMAIN' })
      .optional()
      .describe('Exactly as in the token; a trailing slash matters.'),
    audience: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe('Default: the gateway’s address followed by /workload.'),
    jwks: PinnedKeys.optional(),
    claims: Claims.describe(
      'The token must have all of them with exactly this value, or one of the list.',
    ),
    idClaims: z
      .array(ClaimName)
      .min(1)
      .max(MAX_CLAIMS)
      .optional()
      .describe('generic only: which claims are never reassigned.'),
    show: z
      .array(ClaimName)
      .max(MAX_CLAIMS)
      .default([])
      .describe('Further claims to show; they are not matched.'),
    principal: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe(
        'Its display name, e.g. "ci/{ref}", with claims from claims and show. Default: name.',
      ),
    requester: ClaimName.optional().describe(
      'The claim that says for whom it works, e.g. an address; recorded as its issuer’s word, grants nothing.',
    ),
    groups: Groups,
  },
  'A job or a machine that logs in with a platform token.',
);

export type WorkloadFile = z.output<typeof Workload>;
