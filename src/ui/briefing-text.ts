/**
 * A briefing as Markdown, for a system prompt: short, and the same for the same policy. Names and
 * descriptions are the policy's, and each stays on its line: none begins a section of its own.
 */
import type { BriefedRequest, BriefedTarget, Briefing } from '../run/briefing.ts';
import type { BriefingWords } from '../tunnel/connector.ts';
import { limitWords } from './text/limit-words.ts';
import { maskList, maskUses } from './text/mask-words.ts';
import { plain } from './text/printable.ts';

/** What a policy lists beyond this is said as a number. */
const MAX_RULES = 40;
const MAX_MASKS = 60;

/** @param words by kind of target. @returns Markdown; ends with a line feed. */
export function briefingText(
  { who, policy, targets, requestable }: Briefing,
  words: ReadonlyMap<string, BriefingWords>,
): string {
  const kinds = [...words].filter(([kind]) => targets.some((target) => target.kind === kind));
  const used = kinds.map(([, of]) => of);
  const titles = new Set(used.map(({ title }) => title));
  const sections = [
    `# ${(titles.size === 1 ? used[0]?.title : undefined) ?? 'Access'} through hoop`,
    `You act as ${plain(who)}. ${used.map(({ recorded }) => recorded).join(' recorded and signed. ')} recorded and signed, together with the prompt in force.`,
    ...targets.map((target) => targetText(target, words.get(target.kind))),
    ...used.map(({ denials }) => denials),
    requestText(requestable),
    PROMPTS,
    `Policy ${policy.commit.slice(0, 12)}; it may change while you work.`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function targetText(target: BriefedTarget, words: BriefingWords | undefined): string {
  const { name, kind, description, masked, detectors } = target;
  const about = description === undefined ? '' : `: ${plain(description)}`;
  return [
    `## ${plain(name)} (${plain(kind)})${about}`,
    plain(words?.way(target) ?? 'hoop does not know how programs connect to it.'),
    ...ruleText(target),
    ...maskText(masked),
    ...detectorText(detectors),
    ...limitText(target.limits),
    'Anything not listed is denied.',
  ].join('\n');
}

function ruleText({ allowed, held, denied, needsOneOfEach }: BriefedTarget): string[] {
  if (needsOneOfEach === undefined) {
    return [...list('Allowed', allowed), ...list(WAITS, held), ...list('Denied', denied)];
  }
  const { principal, agent } = needsOneOfEach;
  return [
    ...list('Denied, whatever is listed below', denied),
    EACH_NEEDS_A_RULE,
    ...list('Allowed to the person you act for', principal.allowed),
    ...list(`${WAITS}, by the person’s rules`, principal.held),
    ...list('The agent also needs a rule of its own. Allowed', agent.allowed),
    ...list(`${WAITS}, by the agent’s rules`, agent.held),
  ];
}

function list(title: string, rules: readonly string[]): string[] {
  const shown = rules.slice(0, MAX_RULES).map((rule) => `- ${plain(rule)}`);
  const more = rules.length - shown.length;
  return rules.length === 0
    ? []
    : [`${title}:`, ...shown, ...(more > 0 ? [`- and ${more} more; see \`hoop targets\``] : [])];
}

function maskText(masked: BriefedTarget['masked']): string[] {
  if (masked.length === 0) {
    return [];
  }
  const shown = masked.slice(0, MAX_MASKS);
  const more = masked.length - shown.length;
  const rest = more > 0 ? `, and ${more} more` : '';
  return [
    `Masked: ${plain(maskList(shown))}${rest}. You get replacement values: never write them back or treat them as real.`,
    ...maskUses(masked).map((use) => `- ${plain(use)}`),
  ];
}

function detectorText(detectors: BriefedTarget['detectors']): string[] {
  return detectors.length === 0
    ? []
    : [
        `In all text results these are detected and replaced: ${plain(detectors.join(', '))}. A text that looks damaged may contain one of them.`,
      ];
}

function limitText(limits: BriefedTarget['limits']): string[] {
  const words = limitWords(limits);
  return words === undefined ? [] : [`Limits: ${words}.`];
}

const WAITS = 'Waits for a person to approve';

const EACH_NEEDS_A_RULE =
  'Everything you do needs a rule for the person you act for and a rule for the agent; without both it is denied. It waits for a person if either rule requires approval.';

const ONLY_WITH_AGENT_RULE =
  'It adds nothing to the agent’s rules: whatever they do not allow stays denied to you, so do not ask for it here.';

const PROMPTS = `## Say what you are doing
Before you start another task, run \`hoop prompt "what was asked for, and why"\`: approvers see it, and it is recorded with each statement.`;

function requestText(requestable: readonly BriefedRequest[]): string {
  if (requestable.length === 0) {
    return '';
  }
  return [
    '## More access, temporarily',
    'You cannot ask for it yourself. Ask the person you work for to run one of these, and say why:',
    ...(requestable.some(({ needsAgentRule }) => needsAgentRule) ? [ONLY_WITH_AGENT_RULE] : []),
    ...requestable.map(
      ({ command, gives }) => `- \`${plain(command)}\` gives: ${plain(gives.join('; '))}`,
    ),
  ].join('\n');
}
