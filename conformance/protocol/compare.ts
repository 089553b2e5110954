/** Puts two transcripts side by side. What must differ (process ids, keys, OIDs of new objects) is levelled. */
import type { Transcript } from './play.ts';
import { type Received, reportFields } from './wire-client.ts';

/** First OID of objects that are not part of the server: FirstNormalObjectId. */
const FIRST_OWN_OID = 16384;

export interface CompareOptions {
  /** A statement was refused: its error counts as the syntax error that the other side got. */
  readonly denied?: boolean;
  /**
   * Some errors come from the gateway, in the server's words: not from its source (file, line and
   * routine do not count), and without the bytes of the statement that they are about.
   */
  readonly anyLocation?: boolean;
}

/** @returns what differs, or undefined. */
export function compare(
  direct: Transcript,
  other: Transcript,
  options: CompareOptions = {},
): string | undefined {
  const left = lines(direct, options);
  const right = lines(other, options);
  const length = Math.max(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    if (left[index] === right[index]) continue;
    const before = left.slice(Math.max(0, index - 4), index).map((line) => `    ${line}`);
    return [
      ...before,
      `  - ${left[index] ?? '(nothing more)'}`,
      `  + ${right[index] ?? '(nothing more)'}`,
    ].join('\n');
  }
  if (other.stuckAt !== undefined) return `  an answer did not come at step ${other.stuckAt}`;
  return undefined;
}

function lines(transcript: Transcript, options: CompareOptions): readonly string[] {
  const oids = new Map<number, string>();
  const level = (oid: number): string => {
    if (oid < FIRST_OWN_OID) return String(oid);
    const known = oids.get(oid) ?? `new${oids.size + 1}`;
    oids.set(oid, known);
    return known;
  };
  const all = transcript.received.flatMap((one) => line(one, { level, options }) ?? []);
  return transcript.closed ? [...all, 'closed'] : all;
}

function line(
  { type, body, digest }: Received,
  context: { readonly level: (oid: number) => string; readonly options: CompareOptions },
): string | undefined {
  if (digest !== undefined) return `${type} ${digest}`;
  switch (type) {
    // Login: salt, nonce and proof are of each side.
    case 'R':
      return `R ${body.readInt32BE(0)}`;
    case 'K':
      return `K ${body.length} bytes`;
    case 'A':
      return `A ${text(body.subarray(4))}`;
    case 'E':
      return report(body, context.options);
    case 'T':
      return description(body, context.level);
    case 't':
      return `t ${Array.from({ length: body.readInt16BE(0) }, (_, index) => context.level(body.readUInt32BE(2 + 4 * index)))}`;
    default:
      return `${type} ${text(body)}`;
  }
}

const SHOWN_BYTES = /: (0x[0-9a-f]{2} ?)+$/;
/** The texts that are put in the place of a denied statement; see denied.ts. */
const REFUSED = /hoop_forbidden/;

function report(body: Buffer, options: CompareOptions): string {
  const fields = reportFields(body);
  const message = fields.get('M') ?? '';
  const isRefusal =
    fields.get('C') === '42601' ? message.includes('hoop_syntax') : REFUSED.test(message);
  if (options.denied && isRefusal) return `E refused (${fields.get('V')})`;
  if (!options.anyLocation) return `E ${text(body)}`;
  return `E ${[...fields].flatMap(([key, value]) =>
    'FLR'.includes(key) ? [] : JSON.stringify(key + value.replace(SHOWN_BYTES, '')),
  )}`;
}

function description(body: Buffer, level: (oid: number) => string): string {
  let at = 2;
  const fields: string[] = [];
  for (let index = 0; index < body.readInt16BE(0); index += 1) {
    const end = body.indexOf(0, at);
    const name = body.toString('utf8', at, end);
    at = end + 1;
    const table = level(body.readUInt32BE(at));
    const type = level(body.readUInt32BE(at + 6));
    const rest = body.toString('hex', at + 10, at + 18);
    fields.push(`${name} ${table}.${body.readInt16BE(at + 4)} ${type} ${rest}`);
    at += 18;
  }
  return `T ${fields.join(', ')}`;
}

/** Readable, and different for different bytes. */
function text(body: Buffer): string {
  return JSON.stringify(body.toString('latin1'));
}
