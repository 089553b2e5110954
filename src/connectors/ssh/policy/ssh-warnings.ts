/** What is valid about servers and may not be what was meant. */
import { documentCovers } from '../../../policy/match.ts';
import type {
  Policy,
  PolicyContent,
  PolicyProblem,
  PolicyTarget,
  TargetMatch,
} from '../../../policy/policy.ts';
import type { StatementRule } from '../../../policy/types.ts';
import { isServer, type SshRule, sshRules } from './types.ts';

type Content = PolicyContent & { readonly targets: TargetMatch };

function sshOf({ own }: PolicyContent): readonly SshRule[] {
  return sshRules({ own: { rules: own['ssh'] ?? [] } });
}

export function sshWarnings(policy: Policy): PolicyProblem[] {
  return [...policy.documents, ...policy.agents.values()].flatMap((content) => [
    ...onNothing(policy, content),
    ...halfDenied(policy, content),
    ...unknownUsers(policy, content),
    ...throughAShell(content),
  ]);
}

/** Rules of one kind where all targets are of the other. */
function onNothing(policy: Policy, content: Content): PolicyProblem[] {
  const targets = [...policy.targets.values()].filter((target) => documentCovers(content, target));
  const servers = targets.filter(isServer).length;
  const [rule] = content.rules.filter((one) => !isAboutBoth(one, content));
  const [sshRule] = sshOf(content).filter((one) => !isAboutBoth(one, content));
  return [
    ...(sshRule !== undefined && servers === 0
      ? [warning(sshRule, 'is about servers, but none of the targets is one: it has no effect')]
      : []),
    ...(rule !== undefined && servers > 0 && servers === targets.length
      ? [warning(rule, 'is about SQL, but all of the targets are servers: it has no effect')]
      : []),
  ];
}

/** `deny: everything` */
function isAboutBoth({ rule }: Pick<SshRule, 'rule'>, { rules, own }: Content): boolean {
  return [rules, own['ssh'] ?? []].every((some) => some.some((other) => other.rule.id === rule.id));
}

/** A deny of all SQL, or of all on servers, where a target is of the other kind. */
function halfDenied(policy: Policy, content: Content): PolicyProblem[] {
  const targets = [...policy.targets.values()].filter((target) => documentCovers(content, target));
  const named = (some: readonly PolicyTarget[]): string => some.map(({ name }) => name).join(', ');
  const databases = named(targets.filter(({ hasStatements }) => hasStatements));
  const servers = named(targets.filter(isServer));
  const sql = content.rules.find(
    (rule) => isBareDeny(rule) && rule.verbs.includes('*') && !isAboutBoth(rule, content),
  );
  const ssh = sshOf(content).find((rule) => isBareSshDeny(rule) && !isAboutBoth(rule, content));
  return [
    ...(sql && servers !== ''
      ? [warning(sql, `denies all SQL, but leaves open what may be done on ${servers}; ${SAY}`)]
      : []),
    ...(ssh && databases !== ''
      ? [
          warning(
            ssh,
            `denies everything on servers, but leaves open all SQL on ${databases}; ${SAY}`,
          ),
        ]
      : []),
  ];
}

const SAY = 'say deny: everything';
const ACTS: readonly SshRule['acts'][number][] = ['shell', 'exec', 'sftp', 'forward'];

function isBareDeny({ effect, relations, functions, ...rule }: StatementRule): boolean {
  const isNarrow = rule.qualified !== undefined || rule.rows !== undefined;
  return effect === 'deny' && relations.length + functions.length === 0 && !isNarrow;
}

function isBareSshDeny({ effect, acts, unknown, ...rule }: SshRule): boolean {
  const { users, commands, paths, operations, destinations } = rule;
  const narrowed = [users, commands, paths, operations, destinations].some((some) => some.length);
  return effect === 'deny' && !unknown && !narrowed && ACTS.every((act) => acts.includes(act));
}

/** Where the targets themselves say who can log in. */
function unknownUsers(policy: Policy, content: Content): PolicyProblem[] {
  const servers = [...policy.targets.values()].flatMap((target) =>
    isServer(target) && documentCovers(content, target) ? [target] : [],
  );
  if (servers.length === 0 || servers.some(({ logins }) => logins.length === 0)) {
    return [];
  }
  const known = new Set(servers.flatMap(({ logins }) => logins.map(({ user }) => user)));
  return sshOf(content).flatMap((rule) =>
    rule.users
      .filter((user) => !known.has(user))
      .map((user) => warning(rule, `names the user "${user}", which no target lists in logins`)),
  );
}

/** In a shell nobody sees what is run. */
function throughAShell(content: Content): PolicyProblem[] {
  const ssh = sshOf(content);
  const shell = ssh.find(({ effect, acts }) => effect === 'allow' && acts.includes('shell'));
  const others = ssh.filter(
    ({ effect, acts, commands, unknown, users }) =>
      effect !== 'allow' &&
      acts.includes('exec') &&
      (commands.length > 0 || unknown) &&
      shell !== undefined &&
      meet(users, shell.users),
  );
  if (shell === undefined || others.length === 0) {
    return [];
  }
  const ids = others.map(({ rule }) => rule.id).join(', ');
  return [
    warning(
      shell,
      `allows a shell, in which any command can be run: this gets around ${ids}; remove the shell, or require approval for it`,
    ),
  ];
}

function meet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 || b.length === 0 || a.some((one) => b.includes(one));
}

function warning({ rule }: Pick<SshRule, 'rule'>, what: string): PolicyProblem {
  return { file: rule.file, line: rule.line, column: 1, message: `rule ${rule.id} ${what}` };
}
