/**
 * What goes on record of the columns of a statement: shown, used, written. Made once per verdict, from the
 * lineage that masks rest on, so what it says was shown is what a mask would have had to hide. Whether
 * anything was returned is not in the statement: the bytes of its result say so.
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { StatementFacts } from '../../../../recording/formats/types.ts';
import type { Secret } from '../../../../secret.ts';
import type {
  ColumnFact,
  OutputColumn,
  RelationFact,
  StatementAnalysis,
} from '../../policy/facts/analysis-types.ts';
import { maskedSystemColumn } from '../../policy/facts/system-relations.ts';
import type { AllowedStatement, OutputMask } from '../../policy/facts/types.ts';
import { observes } from './results.ts';

type Unknown = StatementFacts['unknown'];

const NOTHING: readonly string[] = [];
const EVERYTHING: Unknown = ['returned', 'used', 'written'];
/** Of base64url: 96 bits. */
const FINGERPRINT_LENGTH = 16;

/** Nobody has looked into it: a passthrough grant. */
export const NOTHING_KNOWN: StatementFacts = {
  asked: NOTHING,
  clear: NOTHING,
  looked: NOTHING,
  unknown: EVERYTHING,
  used: NOTHING,
  written: NOTHING,
  writes: NOTHING,
};

/** @param maskKey of the gateway: two gateways give other fingerprints. */
export function columnsOf(allowed: AllowedStatement, maskKey: Secret<Uint8Array>): StatementFacts {
  const { analysis, masks = [], computed = [] } = allowed;
  const clear = new Set<string>();
  const masked = new Set<string>();
  for (const [index, output] of (analysis.outputs ?? []).entries()) {
    const mask = masks[index];
    for (const name of names(mask?.columns ?? [])) masked.add(name);
    for (const name of names(shownBy(output, mask))) clear.add(name);
  }
  const used = new Set(names(analysis.columnsRead).filter((n) => !clear.has(n) && !masked.has(n)));
  for (const name of names(usedBy(analysis))) if (!clear.has(name)) used.add(name);
  for (const name of names(computed)) used.add(name);
  return {
    asked: NOTHING,
    clear: [...clear],
    ...fingerprint(analysis, maskKey),
    looked: lookedFor(allowed),
    unknown: unknownOf(analysis),
    used: [...used],
    ...written(analysis),
  };
}

/** Of one that was refused: nothing was shown, and all that it would have read was asked for. */
export function columnsAsked(
  analysis: StatementAnalysis,
  maskKey: Secret<Uint8Array>,
): StatementFacts {
  const outputs = (analysis.outputs ?? []).flatMap((output) => shownBy(output, undefined));
  const { columnsRead, columnsWritten } = analysis;
  const asked = names([...outputs, ...columnsRead, ...usedBy(analysis), ...columnsWritten]);
  return {
    asked: [...new Set(asked)],
    clear: NOTHING,
    ...fingerprint(analysis, maskKey),
    looked: NOTHING,
    unknown: analysis.opaque.length === 0 ? [] : ['asked'],
    used: NOTHING,
    written: NOTHING,
    writes: NOTHING,
  };
}

/** By what it says itself: conditions, joins, orders, groups, functions. What the owner of a view says is not in it. */
function usedBy(analysis: StatementAnalysis): readonly ColumnFact[] {
  const { columnsComputed, columnsNullTested = [], columnsGrouped = [] } = analysis;
  const { columnsEquated = [], columnsStored = [], columnsShaping = [], lookups = [] } = analysis;
  const uses = [
    ...columnsComputed,
    ...columnsNullTested,
    ...columnsGrouped,
    ...columnsEquated.flat(),
  ];
  return [
    ...uses.map(({ column }) => column),
    ...columnsStored,
    ...columnsShaping,
    ...lookups.flatMap(({ columns }) => columns),
  ];
}

/**
 * A condition that compares a column with what is shown shows it, too. Of a document that is masked
 * inside, what no mask names; else a masked output shows nothing of whatever it was made of.
 */
function shownBy(output: OutputColumn, mask: OutputMask | undefined): readonly ColumnFact[] {
  const reaching = [...output.sources, ...(output.tied ?? [])];
  if (mask === undefined) return reaching;
  if (mask.document === undefined) return [];
  const hidden = new Set(names(mask.columns));
  return reaching.filter((column) => !hidden.has(columnName(column)));
}

/** Rows that go or come as a whole have no columns of their own to name: `schema.relation.*`. */
function written(analysis: StatementAnalysis): Pick<StatementFacts, 'written' | 'writes'> {
  const { writes, writesIndirectly = [], columnsWritten } = analysis;
  const relations = new Set([...writes, ...writesIndirectly].map(relationName));
  const named = new Set(columnsWritten.map(relationName));
  const whole = [...relations].filter((name) => !named.has(name)).map((name) => `${name}.*`);
  return { written: [...new Set(names(columnsWritten)), ...whole], writes: [...relations] };
}

function lookedFor(allowed: AllowedStatement): readonly string[] {
  const { analysis, detectors, observed = NOTHING } = allowed;
  if (analysis.outputs === undefined) return NOTHING;
  return observes(allowed) ? [...detectors, ...observed] : detectors;
}

/**
 * An auditor must not take silence for proof: what the statement does not tell is said. Rules and triggers
 * return rows of their own and say values in notices; a listener is sent what others notify.
 */
function unknownOf({
  opaque,
  isTooLarge,
  protocol,
  serverAccess,
  ...analysis
}: StatementAnalysis): Unknown {
  const isOpaque = opaque.length > 0 || isTooLarge === true || serverAccess.length > 0;
  if (isOpaque || protocol.runsUserCode) return EVERYTHING;
  const { outputs = [], verbs } = analysis;
  const sources = outputs.flatMap(({ sources }) => sources);
  // Samples of any column, raw pages of large objects, other people's statements.
  const isElsewhere = sources.some((column) => maskedSystemColumn(column) !== undefined);
  return isElsewhere || verbs.includes('listen') ? ['returned'] : [];
}

/** As objects: Node takes 15 µs to make one of bytes, for each digest. */
const KEYS = new WeakMap<Secret<Uint8Array>, KeyObject>();

function fingerprint(
  { form }: StatementAnalysis,
  maskKey: Secret<Uint8Array>,
): Pick<StatementFacts, 'fingerprint'> {
  if (form === undefined) return {};
  let key = KEYS.get(maskKey);
  if (key === undefined) {
    const bytes = hkdfSync('sha256', maskKey.expose(), '', 'hoop/fingerprint/v1', 32);
    key = createSecretKey(new Uint8Array(bytes));
    KEYS.set(maskKey, key);
  }
  const digest = createHmac('sha256', key).update(form).digest('base64url');
  return { fingerprint: digest.slice(0, FINGERPRINT_LENGTH) };
}

function names(columns: readonly ColumnFact[]): readonly string[] {
  return columns.map(columnName);
}

export function columnName({ schema, name, column }: ColumnFact): string {
  return `${schema}.${name}.${column}`;
}

function relationName({ schema, name }: Pick<RelationFact, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}
