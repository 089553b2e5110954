/**
 * The YAML files of a policy repository, as zod schemas. The JSON Schemas for editors are made
 * from the same source (json-schema.ts). Strict everywhere: an unknown key is an error, because
 * a misspelt `mask` would otherwise be no mask.
 */
import * as z from 'zod';
import { ownRules, type PolicyConnector } from '../connector.ts';
import { Workload } from '../workloads/workload-schema.ts';
import { Groups, Issuer, Name, strict, TerminalOff, Text } from './schema-parts.ts';

/** Seconds; `90s`, `30m`, `8h`, `7d`. */
const DURATION = /^([1-9][0-9]{0,5})(s|m|h|d)$/;
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const MAX_DURATION_SECONDS = 7 * 86_400;
const DEFAULT_REQUEST_TIMEOUT_SECONDS = 86_400;
/** Long enough for a colleague to look up, short enough to be still in front of the screen. */
const DEFAULT_APPROVAL_TIMEOUT_SECONDS = 15 * 60;
/** Whoever needs a row that is locked waits as long as this. */
const DEFAULT_MAX_HOLD_SECONDS = 30;

export const DETECTORS = [
  'card',
  'ssn',
  'email',
  'iban',
  'jwt',
  'cloud-key',
  'vcs-token',
  'private-key',
  'url-password',
] as const;

const Duration = z
  .string({ error: 'expected a duration such as "30m" or "8h"' })
  .regex(DURATION, 'expected a duration such as "90s", "30m", "8h" or "7d"')
  .transform((text) => {
    const [, count = '0', unit = 's'] = DURATION.exec(text) ?? [];
    return Number(count) * (UNIT_SECONDS[unit] ?? 1);
  })
  .refine((seconds) => seconds <= MAX_DURATION_SECONDS, 'expected at most 7 days');

function changedRows(description: string) {
  return z.int().min(0).max(1_000_000_000).optional().describe(description);
}

const Limits = strict({
  maxTime: Duration.optional().describe('The session ends after this time, e.g. "8h".'),
  idleTime: Duration.optional().describe(
    'The session ends after this time in which no byte passes and no statement or command runs.',
  ),
  maxConnections: z.int().min(1).max(1000).optional().describe('Connections within one session.'),
  maxRows: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe('Rows that one statement returns.'),
  changedRowsPerTransaction: changedRows('Rows that one transaction may change in total.'),
  changedRowsPerDay: changedRows(
    'Rows that one person may change per day (UTC) on one target, across all sessions and agents.',
  ),
  lookups: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe(
      'Values per day that one person may compare with columns whose mask has `lookup: true`; default 100.',
    ),
  statementsPerMessage: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('Statements in one message (one text), default 2000; more are refused.'),
  statementsPerSecond: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('Statements of one session per second, default 10000; further ones wait.'),
});

const RequestFile = strict({
  maxDuration: Duration.describe('The longest duration of a grant, e.g. "2h".'),
  approvers: Groups.optional().describe(
    'Groups whose members may approve. Default: those of roles.approver in hoop.yaml.',
  ),
  count: z.int().min(1).max(10).default(1).describe('How many approvers are needed.'),
  timeout: Duration.default(DEFAULT_REQUEST_TIMEOUT_SECONDS).describe(
    'How long a request waits for approvers; default "1d".',
  ),
}).describe('Makes the policy available only on request (`hoop access`) and approval.');

export const HoopFile = strict(
  {
    version: z.literal(1, { error: 'expected 1' }),
    org: Text.optional(),
    identityProviders: z
      .array(
        strict({
          issuer: Issuer.describe('OpenID Connect issuer, exactly as in the token.'),
          clientId: z.string().min(1),
          scopes: z.array(z.string().min(1)).default(['openid', 'email', 'profile']),
          claims: strict({
            name: z.string().min(1).default('name'),
            email: z.string().min(1).default('email'),
            groups: z.string().min(1).default('groups'),
            subject: z
              .string()
              .min(1)
              .optional()
              .describe('Identifies a person whichever client they use; Entra: oid.'),
          })
            .prefault({})
            .describe('Names of claims, or JSON pointers such as "/realm_access/roles".'),
          fresh: Duration.refine((seconds) => seconds >= 60, 'expected at least "1m"')
            .optional()
            .describe(
              'The provider must confirm each login again within this time, through a refresh token; e.g. "15m".',
            ),
          maxTime: Duration.refine((seconds) => seconds >= 300, 'expected at least "5m"')
            .optional()
            .describe(
              'A login and its sessions end after this time; default "12h", for logins only.',
            ),
          ca: z
            .string()
            .includes('-----BEGIN CERTIFICATE-----', 'expected a PEM certificate')
            .max(100_000)
            .optional()
            .describe(
              'PEM of the private CA behind the provider’s certificate, for gateway and clients.',
            ),
          device: strict({
            clientId: z
              .string()
              .min(1)
              .describe('A second client at the provider, only for the device flow.'),
            scopes: z.array(z.string().min(1)).optional().describe('Default: those above.'),
            groups: Groups.optional().describe(
              'Only these groups count in such a login. Default: all groups in the token.',
            ),
          })
            .optional()
            .describe(
              'Allows `hoop login --device`. Such a login has no role and cannot decide on requests.',
            ),
        }),
      )
      .min(1, 'expected at least one identity provider'),
    workloads: z
      .array(Workload)
      .max(500)
      .default([])
      .describe('Jobs and machines that log in with a platform token; the first match wins.'),
    roles: strict({
      auditor: strict({ groups: Groups }).optional().describe('May read all recordings.'),
      approver: strict({ groups: Groups }).optional().describe('May decide on held statements.'),
      observer: strict({ groups: Groups })
        .optional()
        .describe('May read events (`hoop gateway events`), and no recordings.'),
    }).prefault({}),
    defaults: strict({
      limits: Limits.prefault({}),
      requireReason: z.boolean().default(false),
      inference: z
        .enum(['allow', 'deny'])
        .default('deny')
        .describe('For masks in files that do not set `inference` themselves.'),
      notices: z
        .enum(['on', 'off'])
        .default('on')
        .describe('A NOTICE names the masked columns of a result, each once per connection.'),
    })
      .prefault({})
      .describe('Defaults, unless a policy says otherwise.'),
  },
  'hoop.yaml: the organisation, its identity providers and its roles.',
);

const Verbs = z
  .array(z.string())
  .min(1, 'expected at least one verb')
  .describe(
    'First words of SQL commands, lower case: select, insert, drop, alter role. "*" is any.',
  );

const CONDITIONS = {
  verbs: Verbs.optional(),
  relations: z
    .array(z.string())
    .min(1, 'expected at least one relation, or no "relations" for any')
    .optional()
    .describe('schema.name, with * as wildcard. Absent: the rule applies to any relation.'),
  functions: z
    .array(z.string())
    .min(1, 'expected at least one function')
    .optional()
    .describe('schema.name of functions called, with * as wildcard.'),
  mayShow: z
    .literal('masked', { error: 'expected masked' })
    .optional()
    .describe(
      'The functions may be called although columns are masked, and may return masked data in clear.',
    ),
  qualified: z
    .boolean()
    .optional()
    .describe(
      'true: only UPDATE and DELETE with a WHERE that names a column; false: only those without.',
    ),
  rows: z
    .int('expected a whole number, such as 100')
    .min(0, 'expected 0 or more')
    .max(1_000_000_000, 'expected at most 1000000000')
    .optional()
    .describe(
      'allow: up to this many rows may change in one statement; deny, approve: if more would change.',
    ),
};
/** What makes a rule one about statements. */
export const SQL_KEYS = Object.keys(CONDITIONS) as readonly (keyof typeof CONDITIONS)[];

/**
 * Of rules, with the keys that connectors have. Typed by those that the policy reads itself.
 * @throws TypeError for a key that means something already: rules would silently be about something else
 */
function conditionKeys(connectors: readonly PolicyConnector[]) {
  const keys: Record<string, z.core.$ZodType> = { ...CONDITIONS };
  for (const { kind, ruleKeys } of ownRules(connectors)) {
    for (const [key, schema] of Object.entries(ruleKeys)) {
      if (Object.hasOwn(keys, key)) {
        throw new TypeError(`the connector of kind ${kind} has a key of another one: ${key}`);
      }
      keys[key] = schema;
    }
  }
  return keys as typeof CONDITIONS;
}

function conditions(keys: typeof CONDITIONS) {
  return strict(keys);
}

function approve(keys: typeof CONDITIONS) {
  return strict({
    ...keys,
    approvers: Groups.optional().describe(
      'Groups whose members may approve. Default: those of roles.approver in hoop.yaml.',
    ),
    count: z.int().min(1).max(10).default(1).describe('How many different people must approve.'),
    timeout: Duration.default(DEFAULT_APPROVAL_TIMEOUT_SECONDS).describe(
      'How long a statement waits for approval; default "15m".',
    ),
    // YAML 1.2 reads a bare no as text, and who writes it means false.
    wait: z
      .union([z.boolean(), z.enum(['yes', 'no', 'people'])], {
        error: 'expected yes, no or people',
      })
      .default(true)
      .transform((value) => (typeof value === 'boolean' ? (value ? 'yes' : 'no') : value))
      .describe(
        'no: the statement fails at once, and runs when sent again after approval. people: the same, but only for workloads, whose jobs should not wait.',
      ),
    maxHold: Duration.default(DEFAULT_MAX_HOLD_SECONDS).describe(
      'How long a statement may wait inside an open transaction, which holds locks; default "30s".',
    ),
  });
}

function ruleOf(connectors: readonly PolicyConnector[]) {
  const keys = conditionKeys(connectors);
  const Conditions = conditions(keys);
  return strict({
    name: Name.optional().describe('For messages and the record. Default: rule-1, rule-2, …'),
    allow: Conditions.optional(),
    // The word last: what is wrong with a rule of keys is told of the first (load-policy.ts).
    deny: z
      .union([Conditions, z.literal('everything')], {
        error: ({ input }) =>
          typeof input === 'string' ? 'expected keys and values, or everything' : undefined,
      })
      .optional()
      .describe('everything: all statements, and all actions on a server.'),
    approve: approve(keys)
      .optional()
      .describe('Allowed once others have approved: see approvers, count.'),
    hint: Text.optional().describe('Shown to anybody whom the rule refuses.'),
  }).describe(
    'Deny takes precedence over approve, and approve over allow; whatever no rule allows is refused.',
  );
}

const User = z.union(
  [
    strict({ email: z.string().min(3).max(320), issuer: Issuer.optional() }),
    strict({ issuer: Issuer, sub: z.string().min(1).max(255) }),
  ],
  { error: 'expected { email } or { issuer, sub }' },
);

const WHO = {
  everyone: z.literal(true).optional().describe('Every person who can log in.'),
  groups: Groups.optional(),
  users: z.array(User).min(1, 'expected at least one user').optional(),
  issuer: Issuer.optional().describe('Only principals of this identity provider.'),
};

const Targets = strict({
  names: z.array(z.string()).min(1, 'expected at least one target name').optional(),
  labels: z.record(Name, z.string()).optional().describe('The target must have all of them.'),
});

/** What policies and agents give, in the same words. */
function contentKeys(connectors: readonly PolicyConnector[]) {
  return {
    rules: z.array(ruleOf(connectors)).max(1000).default([]),
    masks: z
      .array(
        strict({
          column: z
            .string()
            .describe(
              'schema.relation.column, as the catalog stores the names; dots, spaces and stars in double quotes.',
            ),
          mask: z.enum(['full', 'partial', 'hash', 'null']),
          write: z
            .literal('allow')
            .optional()
            .describe('People who see the mask may still write the column.'),
          lookup: z
            .literal(true, { error: 'expected true, or no "lookup"' })
            .optional()
            .describe(
              'Statements may find rows by a value of the column (WHERE email = $1), `limits.lookups` values per day.',
            ),
        }),
      )
      .max(10_000)
      .default([]),
    detectors: z
      .union([z.literal('all'), z.array(z.enum(DETECTORS))], {
        error: `expected "all" or a list of ${DETECTORS.join(', ')}`,
      })
      .default([])
      .describe('What to detect in values that no mask covers.'),
    detect: z
      .enum(['mask', 'observe'], { error: 'expected mask or observe' })
      .optional()
      .describe(
        'What `detectors` of this file do: mask (the default), or only count what is returned in clear.',
      ),
    limits: Limits.prefault({}),
    requireReason: z.boolean().default(false),
    inference: z
      .enum(['allow', 'deny'])
      .optional()
      .describe(
        'Whether statements may filter, sort, join and count by the columns that this file masks. Default: that of hoop.yaml, which is deny. Whoever can filter can guess.',
      ),
    terminal: TerminalOff,
    statements: z
      .literal('anything', { error: 'expected "anything"' })
      .optional()
      .describe(
        'No parsing and no guards. Has no effect together with any mask, deny, approve or row limit.',
      ),
  };
}

export function policyFile(connectors: readonly PolicyConnector[]) {
  return strict(
    {
      name: Name,
      description: Text.optional(),
      who: strict({
        ...WHO,
        kinds: z
          .array(z.enum(['person', 'workload']))
          .min(1, 'expected person or workload')
          .optional()
          .describe('Only principals of this kind.'),
        agents: z
          .array(z.string())
          .min(1, 'expected at least one agent')
          .optional()
          .describe('Only while one of these agents acts for them; "*" is any.'),
      }),
      targets: Targets,
      request: RequestFile.optional(),
      ...contentKeys(connectors),
    },
    'policies/*.yaml: who may do what on which targets.',
  );
}

/** One program name as it is typed, without its folder. */
const Program = z
  .string()
  .regex(/^[^\s/\\*]{1,100}$/, 'expected the name of a program, without directory and wildcards');

const Match = strict({
  program: z
    .union([Program, z.array(Program).min(1, 'expected at least one program')])
    .describe('Name of the started program, without directory; case is ignored.'),
  arguments: z
    .array(z.string().min(1).max(200))
    .min(1, 'expected at least one argument, or no "arguments" for any')
    .optional()
    .describe('Each must match one of the arguments; * is any text.'),
});

export function agentFile(connectors: readonly PolicyConnector[]) {
  return strict(
    {
      name: Name,
      description: Text.optional(),
      match: z
        .array(Match)
        .max(100)
        .default([])
        .describe('How its command is recognised. Absent: it must be named with --agent.'),
      identities: strict({ groups: WHO.groups, users: WHO.users, issuer: WHO.issuer })
        .optional()
        .describe('Logins of the agent itself, not of somebody it acts for.'),
      who: strict(WHO)
        .optional()
        .describe('For whom it may act. Default: anybody, including workloads.'),
      targets: Targets,
      ...contentKeys(connectors),
    },
    'agents/*.yaml: what an agent may do at most, whoever it acts for.',
  );
}

export type HoopFile = z.output<typeof HoopFile>;
export type PolicyFile = z.output<ReturnType<typeof policyFile>>;
export type AgentFile = z.output<ReturnType<typeof agentFile>>;
/** What files of both kinds have. */
export type ContentFile = Pick<PolicyFile, 'name' | keyof ReturnType<typeof contentKeys>>;
export type RuleConditions = z.output<ReturnType<typeof conditions>>;
export type ApproveFile = z.output<ReturnType<typeof approve>>;
export type LimitsFile = z.output<typeof Limits>;
