/** Events as a table that goes on: columns have their width from the terminal, not from the rows. */
import type { EventParty, ReadEvent } from '../api/events.ts';
import { actorName } from '../policy/actor-name.ts';
import { plain } from './text/printable.ts';
import type { Style } from './text/style.ts';
import { padTo, truncate } from './text/text-width.ts';
import { byteCount, localTime, plural, shortLocalTime } from './text/times.ts';

export interface EventLineOptions {
  readonly style: Style;
  /** Of the terminal; undefined: a pipe, where nothing is cut off. */
  readonly width: number | undefined;
  readonly withTitles: boolean;
}

const TYPE_WIDTH = 18;
const WIDE = 110;

export function eventLines(
  events: readonly ReadEvent[],
  { style, width, withTitles }: EventLineOptions,
): string[] {
  const isWide = width === undefined || width >= WIDE;
  const timeOf = isWide ? localTime : shortLocalTime;
  const timeWidth = timeOf(0).length;
  const rest = (width ?? 160) - timeWidth - TYPE_WIDTH - 6;
  const whoWidth = Math.max(12, Math.floor(rest * 0.3));
  const targetWidth = Math.max(8, Math.floor(rest * 0.15));
  const line = (cells: readonly string[], paint: (type: string) => string): string => {
    const [time = '', type = '', who = '', target = '', what = ''] = cells;
    const cell = (text: string, room: number) =>
      padTo(width === undefined ? plain(text) : truncate(plain(text), room), room, 'left');
    const left = rest - whoWidth - targetWidth - 2;
    const last = width === undefined ? plain(what) : truncate(plain(what), Math.max(left, 1));
    const shown = [cell(who, whoWidth), cell(target, targetWidth), last].join('  ');
    return `${cell(time, timeWidth)}  ${paint(cell(type, TYPE_WIDTH))}  ${shown}`.trimEnd();
  };
  return [
    ...(withTitles
      ? [style.bold(line(['TIME', 'TYPE', 'WHO', 'TARGET', 'WHAT'], (text) => text))]
      : []),
    ...events.map((event) =>
      line(
        [
          timeOf(Date.parse(event.time)),
          event.type,
          whoOf(event),
          event.target ?? '',
          whatOf(event),
        ],
        (text) => paintType(text, event, style),
      ),
    ),
  ];
}

function whoOf({ who, by }: ReadEvent): string {
  const one = who ?? by;
  return one === undefined ? '' : nameOf(one);
}

function nameOf({ name, agent, agentItself, requester }: EventParty): string {
  return actorName({ name, agent, isAgent: agentItself, requester });
}

function paintType(text: string, { type }: ReadEvent, style: Style): string {
  if (type.endsWith('.refused') || type === 'access.blocked' || type === 'alert')
    return style.red(text);
  return type.startsWith('approval.') || type.startsWith('access.') ? style.yellow(text) : text;
}

/** Members that stand in columns of their own, or say nothing to a person. */
const NOT_SHOWN: ReadonlySet<string> = new Set([
  ...['v', 'cursor', 'time', 'type', 'gateway', 'node', 'term', 'who', 'target', 'since', 'login'],
  ...['stream', 'manifestSha256', 'kind', 'recording', 'expires', 'issuer'],
]);
/** Where it is cut off, what it says is still there. */
const FIRST = ['code', 'rules', 'reason', 'how', 'state', 'decision', 'signed', 'sessions'];
const SHORT_ID = 13;

function whatOf(event: ReadEvent): string {
  const { by, who, count, ...rest } = event as ReadEvent & { readonly count?: unknown };
  const rank = (name: string) => FIRST.indexOf(name) + 1 || FIRST.length + 1;
  const members = Object.entries(rest).toSorted(([a], [b]) => rank(a) - rank(b));
  const parts = members.flatMap(([name, value]) => {
    if (NOT_SHOWN.has(name) || value === undefined) return [];
    return [partOf(name, value)];
  });
  const times = typeof count === 'number' ? [plural(count, 'time')] : [];
  const isOther =
    by !== undefined && who !== undefined && (by.issuer !== who.issuer || by.sub !== who.sub);
  return [...times, ...(isOther ? [`by ${nameOf(by)}`] : []), ...parts].join('; ');
}

function partOf(name: string, value: unknown): string {
  if (name === 'commit') return `commit ${String(value).slice(0, 12)}`;
  if (name === 'session' || name === 'run') return `${name} ${String(value).slice(0, SHORT_ID)}`;
  if (name === 'sessions' && Array.isArray(value)) return plural(value.length, 'session');
  if (name === 'upBytes') return `${byteCount(Number(value))} sent`;
  if (name === 'downBytes') return `${byteCount(Number(value))} received`;
  if (Array.isArray(value)) return `${words(name)} ${value.join(', ')}`;
  if (name === 'code' || name === 'state' || name === 'decision' || name === 'how')
    return String(value);
  return `${words(name)} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
}

/** `maskedValues` as a person reads it: `masked values`. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
