/**
 * Canonical JSON of an event. Decisions and results come with every statement and are written member
 * by member; their lists are the same objects each time a verdict is used again, so their text is kept.
 */
import { canonicalJson } from './canonical-json.ts';
import type { RecordingEvent } from './types.ts';

type Decision = Extract<RecordingEvent, { type: 'decision' }>;
type Result = Extract<RecordingEvent, { type: 'result' }>;

const TEXTS = new WeakMap<object, string>();

/** @throws FormatError as `canonicalJson` */
export function eventJson(event: RecordingEvent): string {
  switch (event.type) {
    case 'decision':
      return hasIntegers(event.at, event.statement, event.stream) &&
        hasIntegers(event.facts ?? 0, 0, 0)
        ? decisionJson(event)
        : canonicalJson(event);
    case 'result':
      return hasIntegers(event.at, event.statement, event.stream) &&
        hasIntegers(event.maskedValues, event.rows, event.bytes ?? 0) &&
        hasIntegers(event.us ?? 0, event.upBytes ?? 0, 0)
        ? resultJson(event)
        : canonicalJson(event);
    default:
      return canonicalJson(event);
  }
}

/** Members in order; a member that is not here would be missing in the record. */
function decisionJson(event: Decision): string {
  return (
    `{"at":${event.at}${optional('code', event.code)}` +
    `${event.columnsComputed === undefined ? '' : `,"columnsComputed":${kept(event.columnsComputed)}`}` +
    `,"columnsMasked":${kept(event.columnsMasked)}` +
    `${event.comments === undefined ? '' : `,"comments":${canonicalJson(event.comments)}`}` +
    `,"effect":"${event.effect}"${optionalNumber('facts', event.facts)}` +
    `${optional('message', event.message)}` +
    `${event.outputsMasked === undefined ? '' : `,"outputsMasked":${kept(event.outputsMasked)}`}` +
    `,"policyCommit":${commitText(event.policyCommit)}${optional('prompt', event.prompt)}` +
    `,"relations":${kept(event.relations)},"rules":${kept(event.rules)}` +
    `,"statement":${event.statement},"stream":${event.stream},"type":"decision"` +
    `,"verbs":${kept(event.verbs)}` +
    `${event.view === undefined ? '' : `,"view":${canonicalJson(event.view)}`}}`
  );
}

function resultJson(event: Result): string {
  return (
    `{"at":${event.at}${optionalNumber('bytes', event.bytes)}` +
    `,"detected":${detectedText(event.detected)}` +
    `,"maskedValues":${event.maskedValues},"rows":${event.rows}` +
    `${event.seen === undefined ? '' : `,"seen":${detectedText(event.seen)}`}` +
    `${optional('sqlState', event.sqlState)},"statement":${event.statement}` +
    `,"stream":${event.stream}${optional('tag', event.tag)},"type":"result"` +
    `${optionalNumber('upBytes', event.upBytes)}` +
    `${optionalNumber('us', event.us)}}`
  );
}

/** Does not compile while a member of the type is not written above. */
type Written =
  | Exclude<
      keyof Decision,
      | 'at'
      | 'code'
      | 'columnsComputed'
      | 'columnsMasked'
      | 'comments'
      | 'effect'
      | 'facts'
      | 'message'
      | 'outputsMasked'
      | 'policyCommit'
      | 'prompt'
      | 'relations'
      | 'rules'
      | 'statement'
      | 'stream'
      | 'type'
      | 'verbs'
      | 'view'
    >
  | Exclude<
      keyof Result,
      | 'at'
      | 'bytes'
      | 'detected'
      | 'maskedValues'
      | 'rows'
      | 'seen'
      | 'sqlState'
      | 'statement'
      | 'stream'
      | 'tag'
      | 'type'
      | 'upBytes'
      | 'us'
    >;
const UNWRITTEN: [Written] extends [never] ? undefined : never = undefined;
void UNWRITTEN;

let lastCommit = { commit: '', text: '""' };

/** The same one for a long time. */
function commitText(commit: string): string {
  if (commit !== lastCommit.commit) {
    lastCommit = { commit, text: canonicalJson(commit) };
  }
  return lastCommit.text;
}

/** Nearly always nothing. */
function detectedText(detected: Result['detected']): string {
  for (const _ in detected) {
    return canonicalJson(detected);
  }
  return '{}';
}

/** @param list is not changed any more, as its type says */
function kept(list: readonly unknown[]): string {
  let text = TEXTS.get(list);
  if (text === undefined) {
    text = canonicalJson(list);
    TEXTS.set(list, text);
  }
  return text;
}

function optional(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${canonicalJson(value)}`;
}

function optionalNumber(name: string, value: number | undefined): string {
  return value === undefined ? '' : `,"${name}":${value}`;
}

function hasIntegers(one: number, other: number, third: number): boolean {
  return isPlain(one) && isPlain(other) && isPlain(third);
}

function isPlain(value: number): boolean {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}
