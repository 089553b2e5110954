/** Which columns are masked, where their values go, and what must therefore not happen. */

import { qualifiedName } from '../../../../policy/patterns.ts';
import type { ColumnMask, Grant } from '../../../../policy/types.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import { allowSnippet } from '../../../../policy/words/rule-snippet.ts';
import type {
  ColumnFact,
  OutputColumn,
  RelationFact,
  StatementAnalysis,
  ValueFact,
} from '../facts/analysis-types.ts';
import type { Catalog, CatalogRelation } from '../facts/catalog-types.ts';
import { descendants } from '../facts/relation-family.ts';
import { shownSettings } from '../facts/secret-settings.ts';
import { isString } from '../facts/string-types.ts';
import type { OutputMask, SqlRefusal } from '../facts/types.ts';
import { refuseLookups } from '../lookups/evaluate-lookups.ts';
import { documentMask } from '../masks/document-mask.ts';
import { type MaskIndex, strictest } from '../masks/mask-index.ts';
import { refuseComparisons, refuseDomain } from './evaluate-comparisons.ts';
import { refuseInference } from './evaluate-inference.ts';
import { refusal } from './evaluate-refusal.ts';
import { builtin } from './guards.ts';
import { isCodeVerb } from './guards-verbs.ts';

/** A JSON document of which the places are known is masked inside. */
export function outputMask(output: OutputColumn, masks: MaskIndex): OutputMask | undefined {
  const whole = valueMask(output, masks);
  const document = whole && documentMask(output, masks, valueMask);
  if (document) return { ...whole, mask: 'full', document };
  const shows = whole && output.kind === 'identity' ? shownOf(output) : undefined;
  return whole && shows ? { ...whole, shows } : whole;
}

function shownOf({ sources, tied = [] }: OutputColumn): OutputMask['shows'] {
  const [shown, ...others] = [...sources, ...tied].map(shownSettings);
  return others.length === 0 ? shown : undefined;
}

/**
 * Identity keeps the mask's own kind. Anything computed is masked whole: the partial mask of
 * `substr(email, 3, 1)`, or its hash, would be the character itself.
 */
function valueMask(output: ValueFact, masks: MaskIndex): OutputMask | undefined {
  const reaching = [...output.sources, ...(output.tied ?? [])].flatMap((column) => {
    const mask = masks.of(column);
    return mask ? [{ column, mask }] : [];
  });
  if (reaching.length === 0) {
    return undefined;
  }
  const rule = strictest(reaching.map(({ mask }) => mask));
  const own = output.sources.some((column) => masks.of(column) !== undefined);
  const whole = output.kind === 'derived' || !own;
  // A number as a string would show whether it is NULL, which its own mask does not.
  const isHidden =
    output.kind === 'derived' &&
    isString(output.typeOid) &&
    reaching.some(({ column, mask }) => mask.inference === 'deny' && masks.hidesNull(column));
  const shown = whole && (rule.mask === 'partial' || rule.mask === 'hash') ? 'full' : rule.mask;
  return {
    mask: isHidden ? 'null' : shown,
    columns: reaching.map(({ column }) => column),
    rule: rule.rule,
  };
}

/** @returns why the statement must not run while its masks apply. */
export function refuseForMasks(
  analysis: StatementAnalysis,
  grant: Grant,
  { masks, catalog }: { readonly masks: MaskIndex; readonly catalog: Catalog },
): SqlRefusal | undefined {
  return (
    (masks.isEmpty ? undefined : refuseForTables(analysis, grant, { masks, catalog })) ??
    refuseCopies(analysis, grant, masks) ??
    refuseShaping(analysis, grant, masks) ??
    refuseInference(analysis, grant, { masks, catalog }) ??
    refuseComparisons(analysis, grant, masks) ??
    refuseLookups(analysis, grant, masks)
  );
}

/** What stands in the way of masks on columns of tables only. */
function refuseForTables(
  analysis: StatementAnalysis,
  grant: Grant,
  { masks, catalog }: { readonly masks: MaskIndex; readonly catalog: Catalog },
): SqlRefusal | undefined {
  return (
    refuseCode(analysis, grant) ??
    refuseStructure(analysis, grant, masks) ??
    refuseDomain(analysis, grant, catalog) ??
    refuseViews(analysis, grant, masks) ??
    refuseWrites(analysis, grant, masks)
  );
}

/** Whether text that the server makes up (errors, notices) may carry a masked value. */
export function mustRedact(
  analysis: StatementAnalysis,
  masks: MaskIndex,
  catalog: Catalog,
): boolean {
  if (masks.isEmpty) {
    return false;
  }
  const changesRows = analysis.verbs.some((verb) => ROW_VERBS.has(verb));
  const evaluated = [...(analysis.columnsEvaluated ?? []), ...analysis.columnsRead];
  return (
    analysis.protocol.runsUserCode ||
    evaluated.some((column) => masks.of(column) !== undefined) ||
    analysis.reads.some(
      (relation) => masks.hasMasks(relation) && readsUnnamed(relation.oid, catalog),
    ) ||
    analysis.reads.some(({ oid }) => readsOthers(catalog.relationByOid(oid))) ||
    // It checks every column of that type, or runs the query behind it.
    /^(alter domain|refresh)\b/.test(analysis.verb) ||
    // Without a table it is about all of them.
    (analysis.writes.length === 0 && /^(analyze|cluster|reindex|vacuum)\b/.test(analysis.verb)) ||
    // "Failing row contains (…)" shows every column; a trigger says what it likes.
    withReferencing(analysis.writes, catalog).some(
      ({ oid, relation }) =>
        masks.hasMasks({ oid }) ||
        readsOthers(relation) ||
        (changesRows && relation?.hasTriggersOrRules !== false),
    )
  );
}

/**
 * Whether reading a table evaluates columns that the statement does not name: row security does, and
 * a foreign table has words of its own for what its server or file holds.
 */
function readsUnnamed(oid: number, catalog: Catalog): boolean {
  const relation = catalog.relationByOid(oid);
  const all = relation ? [relation, ...descendants(catalog, relation)] : [];
  return relation === undefined || all.some(({ kind, rowSecurity }) => kind === 'f' || rowSecurity);
}

/** Row security of an unmasked table can compute with masked columns of others. */
function readsOthers(relation: CatalogRelation | undefined): boolean {
  return (
    relation?.rowSecurity === true &&
    (relation.comparisons ?? []).some(({ readsOthers }) => readsOthers)
  );
}

/** What makes triggers fire: to make a table or a schema, or to drop one, does not. */
const ROW_VERBS: ReadonlySet<string> = new Set([
  'copy',
  'delete',
  'insert',
  'merge',
  'truncate',
  'update',
]);

/** What is written, and what foreign keys then change or look at: ON DELETE CASCADE, SET NULL. */
function withReferencing(
  writes: readonly RelationFact[],
  catalog: Catalog,
): readonly { readonly oid: number; readonly relation: CatalogRelation | undefined }[] {
  const oids = new Set(writes.map(({ oid }) => oid));
  // A Set gives what is added while it is walked, too.
  for (const oid of oids) {
    const referencing = catalog.relationByOid(oid)?.referencedBy ?? [];
    for (const one of [...referencing, ...catalog.childrenOf(oid).map((child) => child.oid)]) {
      oids.add(one);
    }
  }
  return [...oids].map((oid) => ({ oid, relation: catalog.relationByOid(oid) }));
}

function refuseCode(analysis: StatementAnalysis, grant: Grant): SqlRefusal | undefined {
  if (analysis.verbs.includes('listen') && !namesListen(grant)) {
    return refusal(grant, {
      code: 'HOOP_UNTRACEABLE',
      message: 'LISTEN is not possible while columns are masked for you',
      detail: 'Channels and payloads are what other sessions and triggers make of their values.',
      hint: `A rule that names the verb can allow it: ${allowSnippet({ verbs: ['listen'] })}. Payloads are then masked.`,
      rule: builtin('untraceable'),
    });
  }
  const verb = analysis.verbs.find(isCodeVerb);
  if (verb === undefined) {
    return undefined;
  }
  return refusal(grant, {
    code: 'HOOP_UNTRACEABLE',
    message: `${verb.toUpperCase()} is not possible while columns are masked for you`,
    detail: 'hoop cannot trace what it runs or returns back to columns.',
    hint: 'Have someone for whom no column is masked do it.',
    rule: builtin('untraceable'),
  });
}

function namesListen({ rules }: Grant): boolean {
  return rules.some(({ effect, verbs }) => effect !== 'deny' && verbs.includes('listen'));
}

const KEEPS_COLUMNS = /^(create index|comment|drop|truncate|analyze|vacuum|reindex|cluster)\b/;

/**
 * Renaming, moving or attaching a relation would leave its masks behind; and a view that takes the
 * place of another one would be read, on another connection, by what it was a moment ago.
 */
function refuseStructure(
  analysis: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  if (!analysis.protocol.changesCatalog || KEEPS_COLUMNS.test(analysis.verb)) {
    return undefined;
  }
  const { columnsAltered } = analysis;
  if (columnsAltered !== undefined && firstMask(columnsAltered, masks) === undefined) {
    return undefined;
  }
  const moves = analysis.verb.startsWith('alter ');
  const relation = analysis.writes.find(
    (relation) =>
      masks.hasMasks(relation) ||
      (moves && masks.isBehind(relation) && !isRenamedWithoutMasks(relation, analysis, masks)),
  );
  return (
    relation &&
    refusal(grant, {
      code: 'HOOP_DENIED',
      message: `${analysis.verb.toUpperCase()} on ${qualifiedName(relation.schema, relation.name)}, which has masked columns, is not possible`,
      detail: moves
        ? 'It could move a column away from its mask.'
        : 'It changes who may use the table, or what the server does with its rows.',
      hint: moves ? ALTERABLE : 'Have someone for whom no column is masked do it.',
      rule: builtin('masked-structure'),
    })
  );
}

const ALTERABLE =
  'ALTER TABLE can add columns and constraints, set options, and change columns that are not masked. Have someone for whom no column is masked do the rest.';

/** A view of masked tables that has nothing of a masked column in it, not even in a condition. */
function isRenamedWithoutMasks(
  { oid }: RelationFact,
  { viewsRenamed = [] }: StatementAnalysis,
  masks: MaskIndex,
): boolean {
  const renamed = viewsRenamed.find((view) => view.oid === oid);
  return renamed !== undefined && firstMask(renamed.columns, masks) === undefined;
}

function refuseViews(
  analysis: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  const mask = analysis.reads.map((read) => masks.viewMask(read)).find((found) => found);
  return (
    mask &&
    refusal(grant, {
      code: 'HOOP_UNTRACEABLE',
      message: 'a mask on a column of a view cannot be applied',
      detail: 'Masks apply to columns of tables; hoop looks through views.',
      hint: `The policy should name the column of the table behind ${columnName(mask)}.`,
      rule: mask.rule,
    })
  );
}

function refuseWrites(
  analysis: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  const mask = firstMask(analysis.columnsWritten, masks, ({ write }) => write !== 'allow');
  return (
    mask &&
    refusal(grant, {
      code: 'HOOP_MASKED_WRITE',
      message: `masked column ${columnName(mask)} must not be written`,
      detail: 'Someone who sees only the mask could overwrite the value with it.',
      hint: 'Omit the column from the statement.',
      rule: mask.rule,
    })
  );
}

const IN_VIEW = {
  detail: 'A statement already in flight would show it unmasked under the new name.',
  hint: 'Omit the column. A view created by somebody who sees the column unmasked shows you its mask.',
};
const IN_COPY = {
  detail: 'The mask would not cover the copy.',
  hint: 'Omit the column, or select it without storing it. Somebody who sees it unmasked can make the copy, under a policy that also masks the column of the new table.',
};

function refuseCopies(
  analysis: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  const definesView = analysis.verbs.some((verb) => /^(create|alter)\b.*\bview$/.test(verb));
  const stored =
    definesView || (analysis.columnsStored === undefined && analysis.writes.length > 0)
      ? analysis.columnsRead
      : (analysis.columnsStored ?? []);
  const mask = firstMask(stored, masks);
  return (
    mask &&
    refusal(grant, {
      code: 'HOOP_MASKED_WRITE',
      message: definesView
        ? `masked column ${columnName(mask)} must not be put into a view`
        : `masked column ${columnName(mask)} must not be copied`,
      ...(definesView ? IN_VIEW : IN_COPY),
      rule: mask.rule,
    })
  );
}

function refuseShaping(
  analysis: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  const mask = firstMask(analysis.columnsShaping ?? [], masks);
  return (
    mask &&
    refusal(grant, {
      code: 'HOOP_UNTRACEABLE',
      message: `masked column ${columnName(mask)} must not determine the number of rows or the time taken`,
      detail: 'The result would reveal the value.',
      hint: 'Select the rows without using this column there.',
      rule: mask.rule,
    })
  );
}

function firstMask(
  columns: readonly ColumnFact[],
  masks: MaskIndex,
  holds: (mask: ColumnMask) => boolean = () => true,
): ColumnMask | undefined {
  for (const column of columns) {
    const mask = masks.of(column);
    if (mask && holds(mask)) {
      return mask;
    }
  }
  return undefined;
}
