/**
 * What statements do, against what a grant allows: the verdict. Pure; everything it needs to
 * know about the database is in the analysis and the catalog.
 *
 * The order is the order of what a user understands first: settings, rules, what cannot be
 * traced, masks. One refused statement refuses the whole text, before any of it runs.
 */

import { grantSides } from '../../../../policy/grant-sides.ts';
import { namesSchema, patternMatches, qualifiedName } from '../../../../policy/patterns.ts';
import type { Grant, RuleRef } from '../../../../policy/types.ts';
import { allowSnippet } from '../../../../policy/words/rule-snippet.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { Opaque, StatementAnalysis } from '../facts/analysis-types.ts';
import type { Catalog } from '../facts/catalog-types.ts';
import { UNKNOWN_NAME } from '../facts/is-mistake.ts';
import { systemMaskOf } from '../facts/system-relations.ts';
import { namesTooManyColumns } from '../facts/told-columns.ts';
import type { AllowedStatement, SqlRefusal, Verdict } from '../facts/types.ts';
import { countedLookups } from '../lookups/evaluate-lookups.ts';
import { MaskIndex } from '../masks/mask-index.ts';
import type { WorkBudget } from '../parse/work-budget.ts';
import { settingsOf } from '../walk/bound-settings.ts';
import { checkAccess } from './evaluate-access.ts';
import { refuseCatalogTexts } from './evaluate-catalog-texts.ts';
import { refuseCopyOut } from './evaluate-copy.ts';
import {
  isUnrestricted,
  namesServerAccess,
  ruleForServerAccess,
  temporaryFreedom,
} from './evaluate-functions.ts';
import { computedWith } from './evaluate-inference.ts';
import { mustRedact, outputMask, refuseForMasks } from './evaluate-masks.ts';
import { refusePlaceholder } from './evaluate-placeholders.ts';
import { refusal } from './evaluate-refusal.ts';
import { builtin, deniesInference, guardSettings } from './guards.ts';
import { budgetedRows, rowThresholds, settled } from './row-thresholds.ts';

export interface EvaluationContext {
  readonly catalog: Catalog;
  /** For positions in refusals. */
  readonly text?: string;
  /** `maskIndexOf(grant, catalog)`, when the caller keeps it. */
  readonly masks?: MaskIndex;
  /** Default: as much as it takes. */
  readonly budget?: WorkBudget;
}

/** What a grant masks: what it says, and what system views show of others unless it restricts nothing. */
export function maskIndexOf(grant: Grant, catalog: Catalog): MaskIndex {
  return new MaskIndex(grant.masks, catalog, !grantSides(grant).every(isUnrestricted));
}

/** Of facts of a statement, held against the masks; of names, held against a rule. */
const FACTS_PER_STEP = 8;
const NAMES_PER_STEP = 16;

export function evaluate(
  analyses: readonly StatementAnalysis[],
  grant: Grant,
  context: EvaluationContext,
): Verdict {
  const masks = context.masks ?? maskIndexOf(grant, context.catalog);
  const sides = grantSides(grant);
  const rules = sides.reduce((sum, side) => sum + side.rules.length, 0);
  const statements: AllowedStatement[] = [];
  for (const [index, analysis] of analyses.entries()) {
    context.budget?.spend(stepsOf(analysis, rules));
    const outcome = evaluateSides(analysis, sides, { ...context, masks });
    if ('code' in outcome) {
      return { effect: 'refuse', refusal: outcome, statement: index, analysis: analyses };
    }
    statements.push({ ...settled(outcome), ...budgetedRows(analysis, grant) });
  }
  return { effect: 'allow', statements };
}

function stepsOf(analysis: StatementAnalysis, rules: number): number {
  const { reads, writes, functions, columnsRead, outputs = [] } = analysis;
  const names = reads.length + writes.length + functions.length;
  const sources = outputs.reduce(
    (sum, { sources: from, tied }) => sum + 1 + from.length + (tied?.length ?? 0),
    columnsRead.length,
  );
  return sources / FACTS_PER_STEP + (names * (rules + 1)) / NAMES_PER_STEP;
}

/** An agent and whoever it acts for: each by its own rules, and what one of them refuses is refused. */
function evaluateSides(
  analysis: StatementAnalysis,
  sides: readonly Grant[],
  context: EvaluationContext & { readonly masks: MaskIndex },
): AllowedStatement | SqlRefusal {
  let both: AllowedStatement | undefined;
  for (const side of sides) {
    const outcome = evaluateOne(analysis, side, context);
    if ('code' in outcome) {
      return outcome;
    }
    both = both === undefined ? outcome : joined(both, outcome);
  }
  if (both === undefined) {
    throw new TypeError('a grant has at least one side');
  }
  return both;
}

/** Masks and detectors are those of both in either. */
function joined(a: AllowedStatement, b: AllowedStatement): AllowedStatement {
  const approvals = [...(a.approvals ?? []), ...(b.approvals ?? [])];
  const thresholds = [...(a.rowThresholds ?? []), ...(b.rowThresholds ?? [])];
  return {
    ...a,
    rules: [...a.rules, ...b.rules.filter(({ id }) => !a.rules.some((rule) => rule.id === id))],
    ...(approvals.length === 0 ? {} : { approvals }),
    ...(thresholds.length === 0 ? {} : { rowThresholds: thresholds }),
    redactErrors: a.redactErrors || b.redactErrors,
    // Those of one index, like all verdicts of a text: `target-side.ts` compares them.
    ...(b.hiddenColumns === undefined ? {} : { hiddenColumns: b.hiddenColumns }),
  };
}

function evaluateOne(
  analysis: StatementAnalysis,
  grant: Grant,
  context: EvaluationContext & { readonly masks: MaskIndex },
): AllowedStatement | SqlRefusal {
  const { masks, catalog } = context;
  const setting = guardSettings(settingsOf(analysis), grant);
  if (setting) {
    return setting;
  }
  const untraceable = refuseTooLarge(analysis, grant);
  if (untraceable) {
    return untraceable;
  }
  // Where nothing is restricted no verdict rests on names, and the server knows them better: those
  // made in this transaction, and the words in which it says that there are none.
  const unknown = isUnrestricted(grant) ? undefined : refuseUnknownName(analysis, context.text);
  if (unknown) {
    return unknown;
  }
  const access = checkAccess(analysis, grant);
  if (access.effect === 'refuse') {
    return access.refusal;
  }
  const refused =
    refuseServerAccess(analysis, grant) ??
    refuseOpaque(analysis, grant, context) ??
    refuseForMasks(analysis, grant, { masks, catalog }) ??
    refuseHints(context.text, grant) ??
    refusePlaceholder(analysis.writesPlaceholder, grant) ??
    refuseCatalogTexts(analysis, grant, catalog) ??
    refuseToasted(analysis, grant);
  if (refused) {
    return refused;
  }
  const outputs = analysis.outputs?.map((output) => outputMask(output, masks));
  const computed = computedWith(analysis, masks);
  const shown = (outputs ?? []).flatMap((mask) => mask?.columns ?? []);
  if (namesTooManyColumns([...shown, ...(computed.computed ?? [])])) {
    return tooLarge(
      grant,
      'It shows or uses more masked columns than one event of the recording can name.',
    );
  }
  const thresholds = rowThresholds(analysis, grant, access);
  return (
    refuseCopyOut(analysis, grant, outputs, catalog) ?? {
      analysis,
      rules: [...access.rules, ...freedomOf(analysis, grant, access.rules)],
      ...countedLookups(analysis, masks),
      ...(access.approvals.length === 0 ? {} : { approvals: access.approvals }),
      ...(thresholds.length === 0 ? {} : { rowThresholds: thresholds }),
      masks: outputs,
      ...computed,
      detectors: grant.detectors,
      ...(grant.observed === undefined ? {} : { observed: grant.observed }),
      ...redactionOf(
        masks,
        mustRedact(analysis, masks, catalog) || (outputs ?? []).some((mask) => mask !== undefined),
      ),
    }
  );
}

function redactionOf(
  { columnNames }: MaskIndex,
  redactErrors: boolean,
): Pick<AllowedStatement, 'redactErrors' | 'hiddenColumns'> {
  return redactErrors ? { redactErrors, hiddenColumns: columnNames } : { redactErrors };
}

/** What cannot be seen into, or would be masked, and runs because a temporary grant takes every restriction away. */
function freedomOf(
  { opaque, columnsRead }: StatementAnalysis,
  grant: Grant,
  rules: readonly RuleRef[],
): readonly RuleRef[] {
  const isFree = opaque.length > 0 || columnsRead.some((column) => systemMaskOf(column));
  const freedom = isFree && isUnrestricted(grant) ? temporaryFreedom(grant) : undefined;
  return freedom === undefined || rules.includes(freedom) ? [] : [freedom];
}

/** Files and programs of the server: past every rule about relations. */
function refuseServerAccess(analysis: StatementAnalysis, grant: Grant): SqlRefusal | undefined {
  const { serverAccess } = analysis;
  const [what] = serverAccess;
  if (what === undefined) {
    return undefined;
  }
  const guarded = isGuarded(grant);
  const isNative = serverAccess.some((phrase) => phrase.startsWith('CREATE FUNCTION'));
  if (!guarded && namesServerAccess(grant, analysis)) {
    return undefined;
  }
  return refusal(grant, {
    code: 'HOOP_DENIED',
    message: `${what} is denied by policy`,
    detail:
      'It reaches files, programs or administration of the server, outside of what rules about relations can see. So a rule must name it: "*" does not cover it.',
    hint: serverAccessHint(analysis, guarded, isNative),
    rule: builtin('server-access'),
  });
}

function serverAccessHint(
  { serverAccess, functions }: StatementAnalysis,
  guarded: boolean,
  isNative: boolean,
): string {
  if (isNative) return 'No rule can allow code in this language. Have an administrator install it.';
  if (guarded) return 'No rule can allow it while something is masked for you.';
  const rules = serverAccess.map((phrase) => ruleForServerAccess(phrase, functions));
  return `A rule can allow it: allow: ${rules.join(' and allow: ')}.`;
}

/** Before anything is said of verbs and relations: those behind the place where it was left are missing. */
function refuseTooLarge({ isTooLarge }: StatementAnalysis, grant: Grant): SqlRefusal | undefined {
  if (!isTooLarge || (!isGuarded(grant) && isUnrestricted(grant))) {
    return undefined;
  }
  return tooLarge(grant, 'It has too many parts, or they are nested too deeply.');
}

function tooLarge(grant: Grant, detail: string): SqlRefusal {
  return refusal(grant, {
    code: 'HOOP_TOO_LARGE',
    sqlState: SQL_STATE.programLimitExceeded,
    message: 'the statement is too large to be checked',
    detail,
    hint: 'Split it into smaller statements, or send the values as parameters.',
    rule: builtin('untraceable'),
  });
}

function isGuarded({ masks, detectors }: Grant): boolean {
  return masks.length > 0 || detectors.length > 0;
}

/** The server's own; argument types it names in its message, which are not known here. */
const NO_FUNCTION =
  'No function matches the given name and argument types. You might need to add explicit type casts.';

const NOT_KNOWN = /^(?:(function|column|type) )?(.+?)(?: of relation (.+))? is not known$/;

/**
 * A name that the catalog does not have, which is nearly always a typo: told as the server tells
 * it, so that clients which look for the SQLSTATE (migration tools do) find it.
 */
function refuseUnknownName(
  analysis: StatementAnalysis,
  text: string | undefined,
): SqlRefusal | undefined {
  for (const opaque of analysis.opaque) {
    const { mistake, hint } = opaque;
    if (mistake) {
      const position = characterPosition(text, opaque);
      return {
        code: 'HOOP_UNTRACEABLE',
        ...mistake,
        detail: undefined,
        hint,
        position,
        rule: undefined,
      };
    }
    const [, said, name = '', relation] = NOT_KNOWN.exec(opaque.reason) ?? [];
    const kind = said === 'function' || said === 'column' || said === 'type' ? said : 'relation';
    if (name !== '') {
      return {
        code: 'HOOP_UNTRACEABLE',
        sqlState: UNKNOWN_NAME[kind],
        message: `${kind} ${kind === 'function' || (name.includes('.') && kind === 'column') ? name : `"${name}"`}${relation === undefined ? '' : ` of relation "${relation}"`} does not exist`,
        detail: undefined,
        hint: kind === 'function' ? NO_FUNCTION : hint,
        position: characterPosition(text, opaque),
        rule: undefined,
      };
    }
  }
  return undefined;
}

function refuseOpaque(
  analysis: StatementAnalysis,
  grant: Grant,
  context: EvaluationContext,
): SqlRefusal | undefined {
  const [opaque] = analysis.opaque;
  if (!opaque) {
    return undefined;
  }
  const guarded = isGuarded(grant);
  const accepts = guarded ? isShowing : isNamed;
  if ((!guarded && isUnrestricted(grant)) || analysis.opaque.every((one) => accepts(one, grant))) {
    return undefined;
  }
  return refusal(grant, {
    code: 'HOOP_UNTRACEABLE',
    message: `statement cannot be traced: ${opaque.reason}`,
    detail: guarded
      ? 'Some values are masked for you, and hoop must know where they go.'
      : 'hoop must know what a statement touches to check it against the rules.',
    hint: guarded ? (withMayShow(opaque) ?? WITHOUT_IT) : opaque.hint,
    rule: builtin('untraceable'),
    position: characterPosition(context.text, opaque),
  });
}

/** In place of what the rules allow: no rule stands in the way. */
const WITHOUT_IT =
  'Write the statement without it, or have someone for whom nothing is masked run it.';

/** Whether a rule accepts, by its name, the one thing that cannot be seen into. */
function isNamed({ because, missing }: Opaque, grant: Grant): boolean {
  if (because === undefined || missing !== undefined) {
    return false;
  }
  return grant.rules.some(
    ({ effect, verbs, functions }) =>
      effect !== 'deny' &&
      ('verb' in because
        ? verbs.includes(because.verb)
        : functions.some(
            (pattern) =>
              namesSchema(pattern) && patternMatches(pattern, because.schema, because.function),
          )),
  );
}

/** While values are masked: whether a rule says that this one function may show them. */
function isShowing({ because, missing }: Opaque, grant: Grant): boolean {
  return (
    because !== undefined &&
    missing === undefined &&
    'function' in because &&
    grant.rules.some(
      ({ effect, functions, mayShow }) =>
        effect !== 'deny' &&
        mayShow === 'masked' &&
        functions.some((pattern) => patternMatches(pattern, because.schema, because.function)),
    )
  );
}

function withMayShow({ because, hint }: Opaque): string | undefined {
  if (because === undefined || !('function' in because) || because.schema === 'pg_catalog') {
    return hint;
  }
  const name = qualifiedName(because.schema, because.function);
  const option = `A rule can let it return what is masked: ${allowSnippet({ functions: [name], mayShow: 'masked' })}.`;
  return hint === undefined ? option : `${hint} ${option}`;
}

/** pg_hint_plan takes a plan from a comment, as `enable_…` would choose it. */
function refuseHints(text: string | undefined, grant: Grant): SqlRefusal | undefined {
  if (text?.includes('/*+') !== true || !deniesInference(grant.masks)) {
    return undefined;
  }
  return refusal(grant, {
    code: 'HOOP_DENIED',
    message:
      'a comment with hints for the planner is not possible while columns are masked for you',
    detail: 'A plan sets the order of rows, which could be that of a masked column.',
    hint: 'Leave out the comment that begins with "/*+".',
    rule: builtin('plan-hints'),
  });
}

/** Compressed values of wide columns, masked or not, stand in there as they are. */
function refuseToasted(analysis: StatementAnalysis, grant: Grant): SqlRefusal | undefined {
  const toast = analysis.reads.some(({ schema }) => schema === 'pg_toast');
  if (!toast || (grant.masks.length === 0 && grant.detectors.length === 0)) {
    return undefined;
  }
  return refusal(grant, {
    code: 'HOOP_UNTRACEABLE',
    message: 'reading pg_toast is not possible while columns are masked for you',
    hint: 'Select the columns from the table itself.',
    rule: builtin('untraceable'),
  });
}

/** The byte offset of the analysis as ErrorResponse counts: characters from 1. */
function characterPosition(text: string | undefined, opaque: Opaque): number | undefined {
  if (text === undefined || opaque.location === undefined) {
    return undefined;
  }
  const before = Buffer.from(text).subarray(0, opaque.location).toString('utf8');
  return [...before].length + 1;
}
