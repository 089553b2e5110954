/** Which texts of the catalog hold a value of a masked column: read and parsed for the masked relations alone. */
import { HoopError } from '../../../../errors.ts';
import type {
  Catalog,
  CatalogRelation,
  CatalogTextKind,
  MaskBinding,
  MaskText,
} from '../../policy/facts/catalog-types.ts';
import { CATALOG_TEXT_KINDS } from '../../policy/masks/catalog-text-kinds.ts';
import { columnOf } from '../../policy/masks/resolve-masks.ts';
import {
  isTelling,
  isTellingDefault,
  parametersWithValues,
} from '../../policy/masks/telling-texts.ts';
import { USER } from '../catalog/catalog-queries.ts';
import { number, type Row, text } from '../catalog/catalog-rows.ts';
import { isTellingCode, tried } from '../catalog/telling-code.ts';
import { type ReadView, readView, ViewNames } from '../catalog/view-names.ts';

/** kind, relation, attribute number or '', form, text. Asked on the gateway's own connection. */
function textsSql(oids: readonly number[], majorVersion: number): string {
  const among = (column: string): string => `${column} = ANY ('{${oids.join(',')}}'::oid[])`;
  return `
WITH RECURSIVE reads (relation, view, rule, rulename) AS (
  SELECT d.refobjid, r.ev_class, r.oid, r.rulename FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND ${among('d.refobjid')}
  UNION SELECT v.relation, r.ev_class, r.oid, r.rulename FROM reads v
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.view AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid),
named (relation, object) AS (
  SELECT c.oid, c.oid FROM pg_class c WHERE ${among('c.oid')} UNION SELECT relation, view FROM reads)
SELECT 'default', d.adrelid, d.adnum::text, CASE WHEN a.attgenerated <> '' THEN 'expression' ELSE 'default' END, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE ${among('d.adrelid')}
UNION ALL SELECT 'missing', a.attrelid, a.attnum::text, 'missing', a.attmissingval::text FROM pg_attribute a
  WHERE ${among('a.attrelid')} AND a.atthasmissing
UNION ALL SELECT 'default', a.attrelid, a.attnum::text, 'default', t.typdefault FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE ${among('a.attrelid')} AND NOT a.attisdropped AND t.typdefault IS NOT NULL AND t.typtype = 'd'
UNION ALL SELECT 'constraint', a.attrelid, a.attnum::text, 'domain', pg_get_expr(k.conbin, 0) FROM pg_attribute a JOIN pg_constraint k ON k.contypid = a.atttypid
  WHERE ${among('a.attrelid')} AND NOT a.attisdropped AND k.contypid <> 0 AND k.contype = 'c'
UNION ALL SELECT 'constraint', k.conrelid, '', 'check', pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k
  WHERE ${among('k.conrelid')} AND k.contype = 'c'
UNION ALL SELECT 'index', i.indrelid, '', 'condition', pg_get_expr(i.indpred, i.indrelid) FROM pg_index i
  WHERE ${among('i.indrelid')} AND i.indpred IS NOT NULL
UNION ALL SELECT 'index', i.indrelid, '', 'expression', pg_get_expr(i.indexprs, i.indrelid) FROM pg_index i
  WHERE ${among('i.indrelid')} AND i.indexprs IS NOT NULL
UNION ALL SELECT 'partition', p.partrelid, k.attnum::text, 'bound', pg_get_expr(c.relpartbound, c.oid) FROM pg_partitioned_table p
  CROSS JOIN LATERAL unnest(p.partattrs) AS k (attnum) JOIN pg_inherits h ON h.inhparent = p.partrelid JOIN pg_class c ON c.oid = h.inhrelid
  WHERE ${among('p.partrelid')}
UNION ALL SELECT 'partition', p.partrelid, '', 'expression', pg_get_expr(p.partexprs, p.partrelid) FROM pg_partitioned_table p
  WHERE ${among('p.partrelid')} AND p.partexprs IS NOT NULL
UNION ALL SELECT 'policy', y.polrelid, '', 'condition', e.text FROM pg_policy y
  CROSS JOIN LATERAL (VALUES (pg_get_expr(y.polqual, y.polrelid)), (pg_get_expr(y.polwithcheck, y.polrelid))) e (text)
  WHERE ${among('y.polrelid')} AND e.text IS NOT NULL
UNION ALL SELECT 'trigger', g.tgrelid, '', 'statement', pg_get_triggerdef(g.oid) FROM pg_trigger g
  WHERE ${among('g.tgrelid')} AND g.tgqual IS NOT NULL
UNION ALL SELECT 'statistics', x.stxrelid, '', 'statement', pg_get_statisticsobjdef(x.oid) FROM pg_statistic_ext x
  WHERE ${among('x.stxrelid')}
UNION ALL SELECT 'view', v.relation, '', CASE WHEN v.rulename = '_RETURN' THEN 'view' ELSE 'statement' END,
    CASE WHEN v.rulename = '_RETURN' THEN v.view::text ELSE pg_get_ruledef(v.rule) END FROM reads v${
      majorVersion < 14
        ? ''
        : `
UNION ALL SELECT k.kind, f.relation, '', k.kind, pg_get_functiondef(f.oid) FROM (
  SELECT DISTINCT n.relation, p.oid, p.pronargdefaults FROM named n
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = n.object AND d.classid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.objid WHERE p.prosqlbody IS NOT NULL) f
  CROSS JOIN (VALUES ('function'), ('parameter')) k (kind) WHERE k.kind = 'function' OR f.pronargdefaults > 0`
    }
UNION ALL SELECT 'function', n.relation, '', s.form, s.source FROM (
  SELECT CASE l.lanname WHEN 'sql' THEN 'source' ELSE 'code' END, p.prosrc, lower(p.prosrc) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname IN ('sql', 'plpgsql') AND p.oid >= ${USER} AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') OFFSET 0) s (form, source, lower)
  JOIN named n ON true JOIN pg_class c ON c.oid = n.object WHERE strpos(s.lower, lower(c.relname)) > 0${
    majorVersion < 15
      ? ''
      : `
UNION ALL SELECT 'publication', q.prrelid, '', 'condition', pg_get_expr(q.prqual, q.prrelid) FROM pg_publication_rel q
  WHERE ${among('q.prrelid')} AND q.prqual IS NOT NULL`
  }`;
}

/**
 * pg_temp behind it, or it would come first: behind a pooler somebody else's temporary tables are
 * there. All other names in what is deparsed come out qualified.
 */
const PATH = 'SET LOCAL search_path = pg_catalog, pg_temp;';
/** Deparsing takes a lock on the table: an open ALTER TABLE must not keep everybody waiting. */
const LOCK_TIMEOUT_MS = 200;
const MAX_UNREAD = 10;
/** Forms that are a statement; the others are an expression. */
const STATEMENTS: ReadonlySet<string | undefined> = new Set([
  'statement',
  'function',
  'parameter',
  'source',
]);

export interface MaskTextsRequest {
  readonly bindings: readonly MaskBinding[];
  readonly catalog: Catalog;
  readonly query: (sql: string) => Promise<readonly Row[]>;
  /** As of the catalog's reader; what it cannot parse counts as telling. */
  readonly parse: (sql: string) => Promise<unknown>;
}

/** What texts tell; and of which relations they could not be read now. */
export interface MaskTexts {
  readonly texts: readonly MaskText[];
  readonly unread: readonly { readonly oid: number; readonly error: HoopError }[];
}

export async function readMaskTexts(request: MaskTextsRequest): Promise<MaskTexts> {
  const oids = [...new Set(request.bindings.map(({ oid }) => oid))];
  if (oids.length === 0) return { texts: [], unread: [] };
  const all = await rowsOf(oids, request);
  if (!(all instanceof HoopError)) {
    return { texts: await tellingTexts(all, request), unread: [] };
  }
  return await readOneByOne(oids, request);
}

/** What cannot be read of one relation says nothing of the others. */
async function readOneByOne(
  oids: readonly number[],
  request: MaskTextsRequest,
): Promise<MaskTexts> {
  const texts: MaskText[] = [];
  const unread: { readonly oid: number; readonly error: HoopError }[] = [];
  for (const oid of oids) {
    // Each may wait for a lock: after so many, the others are not asked for.
    const last = unread.length < MAX_UNREAD ? undefined : unread.at(-1)?.error;
    const rows = last ?? (await rowsOf([oid], request));
    if (rows instanceof HoopError) {
      unread.push({ oid, error: rows });
      const unknown = request.bindings.filter((binding) => binding.oid === oid);
      texts.push(...everyMaskText(unknown));
    } else {
      texts.push(...(await tellingTexts(rows, request)));
    }
  }
  return { texts, unread };
}

async function rowsOf(
  oids: readonly number[],
  { query, catalog }: MaskTextsRequest,
): Promise<readonly Row[] | HoopError> {
  const first = `${PATH} SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};`;
  try {
    return await query(`${first} ${textsSql(oids, catalog.majorVersion)}`);
  } catch (error) {
    if (!(error instanceof HoopError)) throw error;
    return error;
  }
}

/** Where it is not known which texts tell a value, all may. */
function everyMaskText(bindings: readonly MaskBinding[]): readonly MaskText[] {
  const masks = new Map(bindings.map(({ mask }) => [JSON.stringify(mask), mask]));
  return [...masks.values()].flatMap((mask) =>
    CATALOG_TEXT_KINDS.map((kind) => ({ mask, kind, isUnread: true as const })),
  );
}

async function tellingTexts(
  rows: readonly Row[],
  { bindings, catalog, parse }: MaskTextsRequest,
): Promise<readonly MaskText[]> {
  const byRelation = Map.groupBy(bindings, ({ oid }) => oid);
  const asked = rows.map((row) => textOf(row, catalog));
  const namesOf = namesInViews(asked);
  const found = new Map<string, MaskText>();
  const verdicts = new Map<string, boolean>();
  for (const one of asked) {
    const { kind, relation, attnum, form, sql } = one;
    for (const binding of byRelation.get(relation) ?? []) {
      const name = columnOf(binding, catalog)?.column.name;
      const key = JSON.stringify([kind, binding.mask]);
      const isOther = attnum !== undefined && attnum !== binding.attnum && form !== 'expression';
      if (kind === undefined || name === undefined || isOther || found.has(key)) continue;
      const question = JSON.stringify([relation, name, form, sql]);
      const verdict = verdicts.get(question) ?? (await tells(one, namesOf(relation, name), parse));
      verdicts.set(question, verdict);
      if (verdict) found.set(key, { mask: binding.mask, kind });
    }
  }
  return [...found.values()];
}

interface CatalogText {
  readonly kind: CatalogTextKind | undefined;
  readonly relation: number;
  readonly attnum: number | undefined;
  readonly form: string | undefined;
  readonly sql: string | undefined;
  /** Of the form `view`. */
  readonly view: CatalogRelation | undefined;
}

/** @returns by relation and column */
function namesInViews(
  texts: readonly CatalogText[],
): (relation: number, column: string) => ViewNames {
  const views = new Map<number, ReadView[]>();
  for (const { relation, view } of texts) {
    if (view) views.set(relation, [...(views.get(relation) ?? []), readView(view)]);
  }
  const known = new Map<string, ViewNames>();
  return (relation, column) => {
    const key = JSON.stringify([relation, column]);
    const names = known.get(key) ?? new ViewNames(column, views.get(relation) ?? []);
    known.set(key, names);
    return names;
  };
}

function textOf(row: Row, catalog: Catalog): CatalogText {
  const [kindText, oid, attnum, form, sql] = row.map(text);
  return {
    kind: CATALOG_TEXT_KINDS.find((known) => known === kindText),
    relation: number(oid),
    attnum: attnum ? number(attnum) : undefined,
    form,
    sql,
    view: form === 'view' ? catalog.relationByOid(number(sql)) : undefined,
  };
}

async function tells(
  asked: CatalogText,
  names: ViewNames,
  parse: (sql: string) => Promise<unknown>,
): Promise<boolean> {
  const { form, sql = '' } = asked;
  if (form === 'bound') return !/^(DEFAULT|FOR VALUES WITH )/.test(sql);
  if (form === 'missing') return !/^\{("?0?"?|f|t|"?\{\}"?|\[\]|NULL)\}$/.test(sql);
  if (form === 'code') return await isTellingCode(sql, names, parse);
  const isWhole = STATEMENTS.has(form);
  const tree =
    form === 'view' ? asked.view?.viewTree : await tried(parse, isWhole ? sql : `SELECT ${sql}`);
  if (form === 'default') return isTellingDefault(tree);
  const isFunction = form === 'function' || form === 'parameter';
  const constants = isFunction ? parametersWithValues(tree) : undefined;
  if (form === 'parameter' && constants?.size === 0) return tree === undefined;
  const isCheck = form === 'check' || form === 'domain';
  return isTelling(tree, {
    columns: form === 'domain' ? new Set(['value']) : names.in(tree),
    comparisons: isCheck ? 'equality' : 'all',
    isCondition: form === 'condition' || isCheck,
    ...(constants === undefined ? {} : { constants }),
  });
}
