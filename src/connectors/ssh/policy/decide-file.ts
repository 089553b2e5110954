/** One operation on a file, within sftp. */

import { demandOf, deniedBy, unanswerable } from '../../../policy/decide-by-rules.ts';
import type { RuleRef } from '../../../policy/types.ts';
import { isAboutAll } from './decide-opening.ts';
import { isNormalPath, leadsThrough, pathMatches, pathMayMatch } from './paths.ts';
import { type SshCase, sshRefusal } from './ssh-refusal.ts';
import type { SftpOperation, SshAct, SshRule, SshVerdict } from './types.ts';

type FileAct = Extract<SshAct, { kind: 'file' }>;

/** A rename and a symlink need a rule for either path: the one must not lead to the other. */
export function decideFile(one: SshCase, act: FileAct): SshVerdict {
  const rules = one.rules.filter(({ acts }) => acts.includes('file'));
  const paths = [act.path, ...(act.to === undefined ? [] : [act.to])];
  const what = `${act.operation} by sftp`;
  const denying = rules.find((rule) => rule.effect === 'deny' && speaksOf(rule, act, paths));
  if (denying !== undefined) {
    const message = `${what} is denied by policy`;
    return { effect: 'refuse', refusal: deniedBy(one, denying, message), touches: paths };
  }
  // One that is about all of sftp was satisfied when sftp was opened.
  const approvals = rules.flatMap((rule) =>
    !isAboutAll(rule) && speaksOf(rule, act, paths) ? demandOf(rule) : [],
  );
  const nobody = unanswerable(one, approvals, what);
  if (nobody !== undefined) {
    return { effect: 'refuse', refusal: nobody, touches: paths };
  }
  const allowing: RuleRef[] = [];
  for (const path of paths) {
    const rule = rules.find(({ effect, ...rest }) => effect !== 'deny' && covers(rest, act, path));
    if (rule === undefined) {
      return {
        effect: 'refuse',
        refusal: sshRefusal(one, 'file', {
          code: 'HOOP_NOT_ALLOWED',
          message: isNormalPath(path)
            ? `${what} is not allowed by policy for this path`
            : 'only absolute, resolved paths are allowed by policy',
        }),
        touches: paths,
      };
    }
    allowing.push(rule.rule);
  }
  const refs = [...allowing, ...approvals.map(({ rule }) => rule)];
  return {
    effect: 'allow',
    rules: refs.filter(({ id }, index) => refs.findIndex((other) => other.id === id) === index),
    ...(approvals.length === 0 ? {} : { approvals }),
    touches: paths,
  };
}

/** Reading an attribute of the folders on the way is what every client does before it enters them. */
function covers(
  { paths, operations }: Pick<SshRule, 'paths' | 'operations'>,
  { operation }: FileAct,
  path: string,
): boolean {
  if (!isNormalPath(path)) {
    return false;
  }
  const isOnTheWay = operation === 'stat' && paths.some((pattern) => leadsThrough(pattern, path));
  return (
    isOnTheWay ||
    (named(operations, operation) &&
      (paths.length === 0 || paths.some((pattern) => pathMatches(pattern, path))))
  );
}

function speaksOf(rule: SshRule, { operation }: FileAct, paths: readonly string[]): boolean {
  return (
    named(rule.operations, operation) &&
    (rule.paths.length === 0 ||
      paths.some((path) =>
        rule.paths.some(
          (pattern) =>
            pathMayMatch(pattern, path) ||
            // Whoever moves a folder moves what is in it to where no rule speaks of it.
            (operation === 'rename' && leadsThrough(pattern.toLowerCase(), path.toLowerCase())),
        ),
      ))
  );
}

function named(operations: readonly SftpOperation[], operation: SftpOperation): boolean {
  return operations.length === 0 || operations.includes(operation);
}
