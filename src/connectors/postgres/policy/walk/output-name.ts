/** The name that PostgreSQL gives an output column without AS (FigureColname in parse_target.c). */
import { as, is, type Node, namesOf, stringOf, tagOf } from '../parse/tree.ts';

/** @returns undefined where PostgreSQL writes `?column?`. */
export function outputName(node: Node | undefined): string | undefined {
  return figure(node).name;
}

interface Figured {
  readonly name: string | undefined;
  /** A name of the expression's kind only (`case`); a cast may overrule it. */
  readonly weak: boolean;
}

const NONE: Figured = { name: undefined, weak: true };

/** Nodes that are always called the same. */
const FIXED: Readonly<Record<string, string>> = {
  A_ArrayExpr: 'array',
  CoalesceExpr: 'coalesce',
  GroupingFunc: 'grouping',
  JsonArrayAgg: 'json_arrayagg',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonObjectConstructor: 'json_object',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  MergeSupportFunc: 'merge_action',
  RowExpr: 'row',
  XmlSerialize: 'xmlserialize',
};

const JSON_FUNCTIONS: Readonly<Record<string, string>> = {
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
};

const XML_FUNCTIONS: Readonly<Record<string, string>> = {
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
  IS_XMLSERIALIZE: 'xmlserialize',
};

const SESSION_VALUES: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIME_N: 'current_time',
  SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
  SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIME_N: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
  SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
  SVFOP_CURRENT_ROLE: 'current_role',
  SVFOP_CURRENT_USER: 'current_user',
  SVFOP_USER: 'user',
  SVFOP_SESSION_USER: 'session_user',
  SVFOP_CURRENT_CATALOG: 'current_catalog',
  SVFOP_CURRENT_SCHEMA: 'current_schema',
};

function figure(node: Node | undefined): Figured {
  if (!node) {
    return NONE;
  }
  const fixed = FIXED[tagOf(node) ?? ''];
  if (fixed !== undefined) return strong(fixed);
  if (is(node, 'ColumnRef')) return lastString(node.ColumnRef.fields);
  if (is(node, 'A_Indirection')) {
    const own = lastString(node.A_Indirection.indirection);
    return own.name === undefined ? figure(node.A_Indirection.arg) : own;
  }
  if (is(node, 'FuncCall')) return strong(namesOf(node.FuncCall.funcname)?.at(-1));
  if (is(node, 'A_Expr')) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : NONE;
  if (is(node, 'TypeCast')) {
    const inner = figure(node.TypeCast.arg);
    return inner.weak
      ? { name: namesOf(node.TypeCast.typeName?.names)?.at(-1), weak: true }
      : inner;
  }
  if (is(node, 'CollateClause')) return figure(node.CollateClause.arg);
  if (is(node, 'CaseExpr')) {
    const inner = figure(node.CaseExpr.defresult);
    return inner.weak ? { name: 'case', weak: true } : inner;
  }
  if (is(node, 'MinMaxExpr')) {
    return strong(node.MinMaxExpr.op === 'IS_GREATEST' ? 'greatest' : 'least');
  }
  if (is(node, 'SubLink')) return figureSubLink(node.SubLink.subLinkType, node.SubLink.subselect);
  if (is(node, 'SQLValueFunction')) return strong(SESSION_VALUES[node.SQLValueFunction.op ?? '']);
  if (is(node, 'XmlExpr')) return strong(XML_FUNCTIONS[node.XmlExpr.op ?? '']);
  if (is(node, 'JsonFuncExpr')) return strong(JSON_FUNCTIONS[node.JsonFuncExpr.op ?? '']);
  return NONE;
}

function strong(name: string | undefined): Figured {
  return { name, weak: name === undefined };
}

function lastString(nodes: readonly Node[] | undefined): Figured {
  const names = (nodes ?? []).flatMap((node) => stringOf(node) ?? []);
  return strong(names.at(-1));
}

function figureSubLink(kind: string | undefined, query: Node | undefined): Figured {
  if (kind === 'EXISTS_SUBLINK') return strong('exists');
  if (kind === 'ARRAY_SUBLINK') return strong('array');
  if (kind !== 'EXPR_SUBLINK') return NONE;
  const target = as(as(query, 'SelectStmt')?.targetList?.[0], 'ResTarget');
  return target ? strong(target.name ?? outputName(target.val)) : NONE;
}
