/** What `hoop targets` prints: for each target what one may do there, in words. */

import type { AccessReply } from '../api/access.ts';
import type { TargetsReply } from '../api/targets.ts';
import type { GroupsProblem } from '../auth/groups-problem.ts';
import { peopleText } from '../policy/words/people-text.ts';
import { spanOf } from './approvals/approval-lines.ts';
import { limitWords } from './text/limit-words.ts';
import { maskList, maskUses } from './text/mask-words.ts';
import { plain } from './text/printable.ts';
import { type Style, styleFor } from './text/style.ts';
import { localTime } from './text/times.ts';
import { wrapWords } from './text/wrap-words.ts';

type Target = TargetsReply['targets'][number];
type Requestable = AccessReply['requestable'][number];

export function renderTargets(
  reply: TargetsReply & {
    readonly requestable: readonly Requestable[];
    /** What is shown is the reach of a run, whose login may not ask for more. */
    readonly inRun?: boolean;
    /** Why none is open, where the groups of the login are the reason. */
    readonly problem?: GroupsProblem | undefined;
  },
  color: boolean,
  width?: number,
): string {
  const style = styleFor(color);
  const asking = requestableLines(reply, style, width);
  if (reply.targets.length === 0) {
    return `${noneOpen(reply.problem, asking.length > 0, width)}\n${asking.length === 0 ? '' : `\n${asking.join('\n')}\n`}`;
  }
  const blocks = reply.targets.map((target) => {
    const title = `${style.bold(plain(target.name))}  ${plain(target.kind)}${labels(target)}`;
    return [
      title,
      ...describe(target).flatMap((line) => wrapWords(line, width, { first: '  ', rest: '    ' })),
    ].join('\n');
  });
  const since =
    reply.inForceSince === undefined
      ? ''
      : `, in force since ${localTime(Date.parse(reply.inForceSince))}`;
  const policy = `policy ${plain(reply.commit.slice(0, 12))}${since}`;
  const below = [
    ...(asking.length === 0 ? [] : [...asking, '']),
    style.dim(policy),
    style.dim('connect with: hoop connect NAME'),
  ];
  return `${blocks.join('\n\n')}\n\n${below.join('\n')}\n`;
}

function noneOpen(
  problem: GroupsProblem | undefined,
  canAsk: boolean,
  width: number | undefined,
): string {
  if (problem === undefined) {
    return canAsk
      ? 'No target is open to you now.'
      : 'No target is open to you. Ask the people who review the policy repository.';
  }
  const text = `No target is open to you. Your login ${plain(problem.text)}. ${problem.hint}`;
  return wrapWords(text, width, { first: '', rest: '' }).join('\n');
}

/** Grants that nobody has until they ask; their targets need not be open to this person at all. */
function requestableLines(
  {
    requestable,
    inRun = false,
  }: { readonly requestable: readonly Requestable[]; readonly inRun?: boolean },
  style: Style,
  width: number | undefined,
): string[] {
  if (requestable.length === 0) {
    return [];
  }
  return [
    style.bold('on request, temporarily'),
    ...requestable.flatMap(({ target, policy, maxDurationSeconds, count, approvers, rules }) =>
      wrapWords(
        `${plain(target)}: ${plain(policy)}, up to ${spanOf(maxDurationSeconds * 1000)}, by ${plain(peopleText({ groups: approvers, count }))} (${plain(rules.join('; '))})`,
        width,
        { first: '  ', rest: '    ' },
      ),
    ),
    style.dim(
      `${inRun ? 'you cannot request access in this run; whoever started it can, outside the run' : 'request with'}: hoop access request NAME --for TIME --reason TEXT`,
    ),
  ];
}

function describe(target: Target): string[] {
  return [
    ...(target.description === undefined ? [] : [plain(target.description)]),
    ...target.rules.map(plain),
    ...agentLines(target),
    ...(target.masked.length === 0
      ? []
      : [`masked: ${plain(maskList(target.masked))}`, ...maskUses(target.masked).map(plain)]),
    ...limitLines(target),
    ...(target.requireReason
      ? [`a reason is required: hoop connect ${plain(target.name)} --reason TEXT`]
      : []),
  ];
}

function limitLines({ limits }: Target): string[] {
  const words = limitWords(limits);
  return words === undefined ? [] : [`limits: ${words}`];
}

/** Two lists: what is done needs one of each, and nobody could read them mixed. */
function agentLines({ agentRules }: Target): string[] {
  // An empty list: neither side is restricted.
  return agentRules === undefined || agentRules.length === 0
    ? []
    : ['and the agent, which needs its own rule:', ...agentRules.map(plain)];
}

function labels(target: Target): string {
  const pairs = Object.entries(target.labels).map(([key, value]) => plain(`${key}=${value}`));
  return pairs.length === 0 ? '' : `  ${pairs.join(' ')}`;
}
