/**
 * A briefing as Markdown, for a system prompt: short, and the same for the same policy. Names and
 * descriptions are the policy's, and each stays on its line: none begins a section of its own.
 */
import type { BriefedRequest, BriefedTarget, Briefing } from '../run/briefing.ts';
import type { BriefingWords } from '../tunnel/connector.ts';
import { limitWords } from './limit-words.ts';
import { maskList, maskUses } from './mask-words.ts';
import { plain } from './printable.ts';

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
    'What is not listed is denied.',
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
    ...list('Allowed to whoever you act for', principal.allowed),
    ...list(`${WAITS}, of whoever you act for`, principal.held),
    ...list('And the agent, which needs a rule of its own. Allowed', agent.allowed),
    ...list(`${WAITS}, of the agent`, agent.held),
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
    `Masked: ${plain(maskList(shown))}${rest}. You get replaced values: never write them back or take them for real.`,
    ...maskUses(masked).map((use) => `- ${plain(use)}`),
  ];
}

function detectorText(detectors: BriefedTarget['detectors']): string[] {
  return detectors.length === 0
    ? []
    : [
        `In all texts of results these are looked for and replaced: ${plain(detectors.join(', '))}. A text that looks damaged may be one of them.`,
      ];
}

function limitText(limits: BriefedTarget['limits']): string[] {
  const words = limitWords(limits);
  return words === undefined ? [] : [`Limits: ${words}.`];
}

const WAITS = 'Waits for a person to approve';

const EACH_NEEDS_A_RULE =
  'All that you do needs a rule of whoever you act for, and a rule of the agent: what one of the two has no rule for is denied. It waits for a person where either of them waits.';

const ONLY_WITH_AGENT_RULE =
  'It adds nothing to the rules of the agent: what these do not allow stays denied to you, and is not worth asking for here.';

const PROMPTS = `## Say what you do
Before you start on another task, run \`hoop prompt "what was asked for, and why"\`: approvers see it, and it stands with each statement.`;

function requestText(requestable: readonly BriefedRequest[]): string {
  if (requestable.length === 0) {
    return '';
  }
  return [
    '## More access, for a while',
    'You cannot ask for it yourself. Ask the person you work for to run one of these, and say why:',
    ...(requestable.some(({ needsAgentRule }) => needsAgentRule) ? [ONLY_WITH_AGENT_RULE] : []),
    ...requestable.map(
      ({ command, gives }) => `- \`${plain(command)}\` gives: ${plain(gives.join('; '))}`,
    ),
  ].join('\n');
}
