/** What is valid about servers and may not be what was meant. */
import { documentCovers } from '../match.ts';
import type { Policy, PolicyContent, PolicyProblem, TargetMatch } from '../policy.ts';
import type { SshRule } from './types.ts';

type Content = PolicyContent & { readonly targets: TargetMatch };

export function sshWarnings(policy: Policy): PolicyProblem[] {
  return [...policy.documents, ...policy.agents.values()].flatMap((content) => [
    ...onNothing(policy, content),
    ...unknownUsers(policy, content),
    ...throughAShell(content),
  ]);
}

/** Rules of one kind where all targets are of the other. */
function onNothing(policy: Policy, content: Content): PolicyProblem[] {
  const targets = [...policy.targets.values()].filter((target) => documentCovers(content, target));
  const servers = targets.filter(({ kind }) => kind === 'ssh').length;
  const [rule] = content.rules;
  const [sshRule] = content.ssh;
  return [
    ...(sshRule !== undefined && servers === 0
      ? [warning(sshRule, 'is about servers, and none of the targets is one: it gives nothing')]
      : []),
    ...(rule !== undefined && servers > 0 && servers === targets.length
      ? [warning(rule, 'is about SQL, and all of the targets are servers: it gives nothing')]
      : []),
  ];
}

/** Where the targets themselves say who can log in. */
function unknownUsers(policy: Policy, content: Content): PolicyProblem[] {
  const servers = [...policy.targets.values()].flatMap((target) =>
    target.kind === 'ssh' && documentCovers(content, target) ? [target] : [],
  );
  if (servers.length === 0 || servers.some(({ logins }) => logins.length === 0)) {
    return [];
  }
  const known = new Set(servers.flatMap(({ logins }) => logins.map(({ user }) => user)));
  return content.ssh.flatMap((rule) =>
    rule.users
      .filter((user) => !known.has(user))
      .map((user) => warning(rule, `names the user "${user}", whom no target has in logins`)),
  );
}

/** In a shell nobody sees what is run. */
function throughAShell({ ssh }: Content): PolicyProblem[] {
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
      `allows a shell, in which any command can be run: it gets around ${ids}; leave the shell out, or make it need approval`,
    ),
  ];
}

function meet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 || b.length === 0 || a.some((one) => b.includes(one));
}

function warning({ rule }: Pick<SshRule, 'rule'>, what: string): PolicyProblem {
  return { file: rule.file, line: rule.line, column: 1, message: `rule ${rule.id} ${what}` };
}
