/** What `hoop policy check` and `hoop policy show` print. */

import type { PolicyReply } from '../api/targets.ts';
import { neverSeenText } from '../policy/approver-groups.ts';
import { maskAlertText } from '../policy/mask-alert.ts';
import type { PolicyProblem } from '../policy/policy.ts';
import type { PolicyCheck } from '../policy/repo/check-policy.ts';
import type { ClientPolicy } from '../policy/repo/client-policy.ts';
import { renderJson } from './render-json.ts';
import { plain } from './text/printable.ts';
import { type Style, styleFor } from './text/style.ts';
import { type Fact, factLines } from './text/table.ts';
import { duration, localTime, plural } from './text/times.ts';

type Reply = Omit<PolicyReply, 'sessionNonce'>;

export function renderPolicyCheck(check: PolicyCheck, color: boolean): string {
  const style = styleFor(color);
  if (check.problems.length > 0) {
    return check.problems.map((problem) => renderProblem(problem, check, style)).join('');
  }
  const { policy, commit, signer, warnings } = check;
  const warned = warnings.map((warning) =>
    renderProblem({ ...warning, message: `warning: ${warning.message}` }, check, style),
  );
  const counts = policy
    ? `${plural(policy.targets.size, 'target')}, ${policy.documents.length} ${policy.documents.length === 1 ? 'policy' : 'policies'}`
    : 'nothing';
  const source = commit === undefined ? '' : ` at commit ${commit.slice(0, 12)}`;
  const signed = signer === undefined ? '' : `, signed by ${plain(signer)}`;
  return `${warned.join('')}${style.green('ok')}: ${counts}${source}${signed}\n`;
}

export function renderPolicyCheckJson(check: PolicyCheck): string {
  const { policy, problems, warnings, commit, signer } = check;
  const document = {
    v: 1,
    ok: problems.length === 0,
    ...(commit === undefined ? {} : { commit }),
    ...(signer === undefined ? {} : { signer }),
    ...(policy ? { targets: policy.targets.size, policies: policy.documents.length } : {}),
    problems,
    warnings,
  };
  return `${renderJson(document)}\n`;
}

export function renderPolicy(reply: Reply, verified: ClientPolicy): string {
  const source = {
    local: 'by this client, as before',
    repository: 'by this client, fetched from the repository',
    gateway: 'by this client, from a bundle of the gateway',
  }[verified.source];
  const lines: readonly Fact[] = [
    ['commit', reply.commit],
    ['date', localTime(verified.committedAt.getTime())],
    ['signer', verified.signer],
    ['fetched', `${age(reply.ageSeconds)} ago by the gateway`],
    ['verified', source],
    ['problem', reply.problem],
    ...(reply.maskAlerts ?? []).map((alert) => ['mask', maskAlertText(alert)] as const),
    ...(reply.approverGroups ?? [])
      .filter(({ hasLoggedIn }) => !hasLoggedIn)
      .map(({ group }) => ['approvers', neverSeenText(group)] as const),
  ];
  return `${factLines(lines, 10).join('\n')}\n`;
}

export function renderPolicyJson(reply: Reply, verified: ClientPolicy): string {
  const { v, commit, ageSeconds, problem, maskAlerts, approverGroups } = reply;
  const document = {
    v,
    commit,
    committedAt: verified.committedAt.toISOString(),
    signer: verified.signer,
    ageSeconds,
    verified: verified.source,
    ...(problem === undefined ? {} : { problem }),
    ...(maskAlerts === undefined ? {} : { maskAlerts }),
    ...(approverGroups === undefined ? {} : { approverGroups }),
  };
  return `${renderJson(document)}\n`;
}

function age(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
}

/** The place as editors and terminals link it, and the line with a mark below. */
function renderProblem(problem: PolicyProblem, check: PolicyCheck, style: Style): string {
  const { file, line, column, message } = problem;
  const head = `${style.bold(`${plain(file)}:${line}:${column}`)}: ${plain(message)}\n`;
  const source = check.files.get(file)?.split('\n')[line - 1];
  if (source === undefined || source.trim() === '') {
    return head;
  }
  const number = String(line).padStart(5);
  const mark = `${' '.repeat(5)} | ${' '.repeat(plain(source.slice(0, column - 1)).length)}^`;
  return `${head}${number} | ${plain(source)}\n${style.red(mark)}\n`;
}
