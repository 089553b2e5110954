/** What a search has found, as lines: a hit's facts, and below them what was found. */

import { stripVTControlCharacters } from 'node:util';
import type { ApprovalState } from '../../api/approvals.ts';
import type { SearchHit } from '../../api/search.ts';
import { actorName } from '../../policy/actor-name.ts';
import { uniqueLength } from '../session-table.ts';
import { plain } from '../text/printable.ts';
import type { Style } from '../text/style.ts';
import { textWidth, truncate } from '../text/text-width.ts';
import { localTime } from '../text/times.ts';
import type { LineOptions } from './statement-lines.ts';

const INDENT = '    ';

const EFFECTS = {
  allow: { word: 'allowed', tone: 'green' },
  approve: { word: 'needed approval', tone: 'yellow' },
  refuse: { word: 'denied', tone: 'red' },
  fail: { word: 'failed', tone: 'yellow' },
  none: { word: 'not decided', tone: 'dim' },
} as const satisfies Record<SearchHit['effect'], { word: string; tone: keyof Style }>;

export function searchLines(hits: readonly SearchHit[], options: LineOptions): string[] {
  const { style, width } = options;
  const idLength = width === undefined ? 36 : uniqueLength(hits.map(({ session }) => session));
  return hits.flatMap((hit) => {
    const { word, tone } = effectOf(hit);
    const { principal: name, agent, isAgent, requester } = hit;
    const place = `${hit.session.slice(0, idLength)}:${hit.statement ?? hit.number ?? '?'}`;
    const code = hit.code === undefined ? '' : ` (${plain(hit.code)})`;
    const facts = [
      localTime(Date.parse(hit.time)),
      style.bold(plain(place)),
      plain(actorName({ name, agent, isAgent, requester })),
      plain(hit.target),
      `${style[tone](plain(word))}${code}`,
    ];
    return [...factLines(facts, width), INDENT + whatLine(hit, options)];
  });
}

/** Tells apart what ran after an approval, what still waits, and what never ran. */
const APPROVALS = {
  waiting: { word: 'waits for approval', tone: 'yellow' },
  approved: { word: 'approved, has not run', tone: 'yellow' },
  used: { word: 'approved', tone: 'green' },
  denied: { word: 'not approved', tone: 'red' },
  expired: { word: 'not approved in time', tone: 'red' },
  withdrawn: { word: 'withdrawn before it was approved', tone: 'dim' },
  void: { word: 'approval void', tone: 'red' },
} as const satisfies Record<ApprovalState, { word: string; tone: keyof Style }>;

function effectOf({ effect, approval }: SearchHit): { word: string; tone: keyof Style } {
  if (approval === undefined || (effect !== 'approve' && effect !== 'refuse')) {
    return EFFECTS[effect];
  }
  const { word, tone } = APPROVALS[approval.state];
  const by = approval.by.length === 0 ? '' : ` by ${approval.by.join(', ')}`;
  return { word: `${word}${by}`, tone };
}

/** What has no room goes on below, and no fact is broken. */
function factLines(facts: readonly string[], width: number | undefined): string[] {
  const lines: string[] = [];
  let line = '';
  for (const fact of facts) {
    const longer = line === '' ? fact : `${line}  ${fact}`;
    if (width === undefined || textWidth(stripVTControlCharacters(longer)) <= width) {
      line = longer;
    } else {
      lines.push(line);
      line = `${INDENT}${fact}`;
    }
  }
  return [...lines, line];
}

function whatLine({ excerpt, verbs, touches }: SearchHit, { style, width }: LineOptions): string {
  const room = width === undefined ? undefined : Math.max(20, width - INDENT.length);
  if (excerpt === undefined) {
    const what = plain(`${verbs.join(', ')} ${touches.join(', ')}`.trim()) || '(no relations)';
    return style.dim(room === undefined ? what : truncate(what, room));
  }
  const label = excerpt.in === 'parameter' ? '(bound value) ' : '';
  const [match, before, after] = [excerpt.match, excerpt.before, excerpt.after].map(plain);
  if (room === undefined) {
    return `${label}${before}${style.bold(match ?? '')}${after}`;
  }
  // What was found is in sight, and as much of what stands before it as leaves it there.
  const found = truncate(match ?? '', room - label.length);
  const left = Math.max(0, room - label.length - textWidth(found));
  const start = lastOf(before ?? '', Math.ceil(left / 2));
  const end = truncate(after ?? '', Math.max(0, left - textWidth(start)));
  return `${style.dim(label)}${start}${style.bold(found)}${end}`;
}

function lastOf(text: string, room: number): string {
  if (textWidth(text) <= room) {
    return text;
  }
  let kept = '';
  for (const character of [...text].reverse()) {
    if (textWidth(character + kept) >= room) {
      break;
    }
    kept = character + kept;
  }
  return room < 1 ? '' : `…${kept}`;
}
