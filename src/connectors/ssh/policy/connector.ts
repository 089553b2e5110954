/** SSH as the policy sees it: keys of targets and rules, and what they mean. */
import * as z from 'zod';
import { networkFrom } from '../../../policy/address-class.ts';
import type { PolicyConnector, Report, RuleStart } from '../../../policy/connector.ts';
import { Groups, Name, strict } from '../../../policy/schema/schema-parts.ts';
import {
  type CommonTarget,
  MAX_HOSTS,
  parseAddress,
} from '../../../policy/schema/target-schema.ts';
import { describeSshRule } from './describe-rule.ts';
import { sshRuleFrom } from './rule-from-file.ts';
import { SSH_CONDITIONS } from './rule-schema.ts';
import { sshWarnings } from './ssh-warnings.ts';
import type { SshPolicyTarget, SshRule } from './types.ts';

/** A server has one for each algorithm, and twice that while they are changed. */
const MAX_HOST_KEYS = 16;
const MAX_OWN_ADDRESSES = 1000;
const SSH_PORT = 22;

const SshAddress = z
  .string()
  .refine((text) => parseSshAddress(text) !== undefined, 'expected host or host:port');

const TARGET_KEYS = {
  address: z
    .union(
      [SshAddress, z.array(SshAddress).min(1, 'expected at least one address').max(MAX_HOSTS)],
      { error: 'expected host or host:port, or a list of them' },
    )
    .optional()
    .describe(
      'host or host:port (22), or a list, tried in this order. The gateway configuration can override it.',
    ),
  hostKeys: z
    .array(
      z
        .string()
        .refine(
          (text) => hostKey(text) !== undefined,
          'expected an OpenSSH public key such as "ssh-ed25519 AAAA…", without the host name that ssh-keyscan prints before it',
        ),
      { error: 'expected the public host keys of the server, as `ssh-keyscan HOST` prints them' },
    )
    .min(1, 'expected at least one host key: hoop never learns keys from the server')
    .max(MAX_HOST_KEYS)
    .describe('Public host keys of the server; it must show one of them.'),
  ownAddresses: z
    .array(
      z
        .string()
        .refine(
          (text) => networkFrom(text) !== undefined,
          'expected an address or a network, such as 10.0.0.5 or 10.1.0.0/16',
        ),
    )
    .max(MAX_OWN_ADDRESSES)
    .optional()
    .describe(
      'Addresses and networks that are the server itself, which "*" in a rule for forwards never means. Default: the gateway asks the server, which must be Linux with sftp.',
    ),
  logins: z
    .array(
      strict({
        user: z
          .string()
          .regex(
            /^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?$/,
            'expected the name of a user on the server',
          )
          .describe('Name of the user on the server.'),
        credential: Name,
        groups: Groups.optional().describe('Who may log in as this user. Default: everybody.'),
      }),
    )
    .min(1, 'expected at least one login')
    .max(100)
    .optional()
    .describe('Users that people can log in as, instead of credential; the first is the default.'),
};
type SshTargetFile = CommonTarget & z.output<z.ZodObject<typeof TARGET_KEYS>>;

/** A deny without conditions: also of what cannot be read. */
const ALL_ON_SERVERS = {
  acts: ['shell', 'exec', 'sftp', 'file', 'forward'],
  users: [],
  commands: [],
  unknown: false,
  paths: [],
  operations: [],
  destinations: [],
} as const satisfies Omit<SshRule, keyof RuleStart>;

export const sshPolicy: PolicyConnector<typeof TARGET_KEYS> = {
  kind: 'ssh',
  targetKeys: TARGET_KEYS,
  targetFrom: serverFrom,
  rules: {
    ruleKeys: SSH_CONDITIONS,
    rulesFrom: (conditions, start, report) =>
      sshRuleFrom(conditions, start, report).map(withDescription),
    everything: (start) => withDescription({ ...start, ...ALL_ON_SERVERS }),
    warnings: sshWarnings,
  },
};

function withDescription(rule: SshRule): SshRule {
  return { ...rule, described: describeSshRule(rule) };
}

function serverFrom(
  value: SshTargetFile,
  report: Report,
): Pick<SshPolicyTarget, 'addresses' | 'hostKeys' | 'ownAddresses' | 'logins'> {
  const { logins = [] } = value;
  if (logins.length > 0 && (value.credential !== undefined || value.credentials.length > 0)) {
    report(['logins'], 'logins: expected either logins, or credential and credentials');
  }
  for (const [index, { user }] of logins.entries()) {
    if (logins.findIndex((login) => login.user === user) < index) {
      report(['logins', index], `logins[${index}]: the user "${user}" is already in the list`);
    }
  }
  return {
    addresses: [value.address ?? []].flat().flatMap((text) => parseSshAddress(text) ?? []),
    hostKeys: value.hostKeys.flatMap((line) => hostKey(line) ?? []),
    ownAddresses: value.ownAddresses?.flatMap((text) => networkFrom(text) ?? []),
    logins: logins.map(({ user, credential, groups }) => ({
      user,
      credential,
      groups: groups ?? [],
    })),
  };
}

/** As `parseAddress`, and a host alone. */
function parseSshAddress(text: string): { host: string; port: number } | undefined {
  return parseAddress(text) ?? parseAddress(`${text}:${SSH_PORT}`);
}

// Public keys as OpenSSH writes them.

/** Kinds that sshd makes and that are no certificates, security keys or DSA. */
const KINDS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];
const LINE = /^([a-z0-9-]+) +([A-Za-z0-9+/]{16,8192}={0,2})(?: .*)?$/;

/** @returns `ssh-ed25519 AAAA…`, without the comment; undefined: it is no such line. */
export function hostKey(text: string): string | undefined {
  const [, kind = '', base64 = ''] = LINE.exec(text.trim()) ?? [];
  if (!KINDS.includes(kind)) {
    return undefined;
  }
  const key = Buffer.from(base64, 'base64');
  // RFC 4253 §6.6: the key begins with its kind; what was cut off when it was copied does not.
  const prefix = Buffer.concat([Buffer.from([0, 0, 0, kind.length]), Buffer.from(kind)]);
  const isWhole =
    key.toString('base64') === base64 && key.subarray(0, prefix.length).equals(prefix);
  return isWhole && isComplete(key, prefix.length) ? `${kind} ${base64}` : undefined;
}

/** Length-prefixed fields up to the very end. */
function isComplete(key: Buffer, from: number): boolean {
  let at = from;
  while (at + 4 <= key.length) {
    at += 4 + key.readUInt32BE(at);
  }
  return at === key.length && at > from;
}
