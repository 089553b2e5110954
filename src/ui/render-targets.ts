/** What `hoop targets` prints: for each target what one may do there, in words. */
import type { TargetsReply } from '../tunnel/api.ts';
import { plain } from './printable.ts';
import { styleFor } from './style.ts';
import { localTime } from './times.ts';
import { wrapWords } from './wrap-words.ts';

type Target = TargetsReply['targets'][number];

export function renderTargets(reply: TargetsReply, color: boolean, width?: number): string {
  const style = styleFor(color);
  if (reply.targets.length === 0) {
    return 'No target is open to you. Ask the people who review the policy repository.\n';
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
  return `${blocks.join('\n\n')}\n\n${style.dim(policy)}\n${style.dim('connect with: hoop connect NAME')}\n`;
}

function describe(target: Target): string[] {
  return [
    ...(target.description === undefined ? [] : [plain(target.description)]),
    ...target.rules.map(plain),
    ...(target.masked.length === 0
      ? []
      : [
          `masked: ${target.masked.map(({ column, mask }) => plain(`${column} (${mask})`)).join(', ')}`,
        ]),
    ...(target.requireReason ? ['a reason is required: hoop connect --reason TEXT'] : []),
  ];
}

function labels(target: Target): string {
  const pairs = Object.entries(target.labels).map(([key, value]) => plain(`${key}=${value}`));
  return pairs.length === 0 ? '' : `  ${pairs.join(' ')}`;
}
