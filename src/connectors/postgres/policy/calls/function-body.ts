/**
 * The text of a function in SQL → the one SELECT of an expression that it runs. Anything else, such
 * as FROM, several statements or a change, is not followed.
 */
import { as, type Node, type NodeTag } from '../parse/tree.ts';

export interface FunctionBody {
  /** The SELECT, and those of the defaults of parameters. `$1` is a column of that name in them. */
  readonly selects: readonly Node[];
  /** '' for one without a name. */
  readonly parameters: readonly string[];
  /**
   * The server resolved some of its names when it was made (BEGIN ATOMIC, RETURN, defaults); else it
   * does so in each call.
   */
  readonly isBound: boolean;
}

export interface FunctionSource {
  /** pg_proc.prosrc, or CREATE FUNCTION where the server keeps a tree of the body. */
  readonly text: string;
  readonly isBound: boolean;
  /** The expressions of defaults, with commas between them. */
  readonly defaults: string | undefined;
  readonly parameters: readonly string[];
}

/**
 * @param parse throws when it could not be found out
 * @returns undefined: not followed
 */
export async function readFunctionBody(
  source: FunctionSource,
  parse: (sql: string) => Promise<unknown>,
): Promise<FunctionBody | undefined> {
  const { text, isBound, defaults, parameters } = source;
  // With standard_conforming_strings off a string does not end there.
  if (text.includes("\\'")) return undefined;
  const body = selectIn(onlyStatement(await parse(text)), isBound);
  if (body === undefined) return undefined;
  const selects = [body];
  if (defaults !== undefined) {
    const select = onlyStatement(await parse(`SELECT ${defaults}`));
    if (!isTargetList(select)) return undefined;
    selects.push(select);
  }
  return { selects: selects.map(withColumns), parameters, isBound: isBound || selects.length > 1 };
}

function onlyStatement(tree: unknown): Node | undefined {
  const stmts: unknown =
    typeof tree === 'object' && tree !== null && 'stmts' in tree ? tree.stmts : undefined;
  const [first, ...others]: { readonly stmt?: Node }[] = Array.isArray(stmts) ? stmts : [];
  return others.length === 0 ? first?.stmt : undefined;
}

function selectIn(statement: Node | undefined, isBound: boolean): Node | undefined {
  const select = isBound ? boundSelect(statement) : statement;
  const isOne = (as(select, 'SelectStmt')?.targetList ?? []).length === 1;
  return isOne && isTargetList(select) ? select : undefined;
}

/** RETURN expression, or BEGIN ATOMIC SELECT expression END. */
function boundSelect(statement: Node | undefined): Node | undefined {
  const body = as(statement, 'CreateFunctionStmt')?.sql_body;
  const val = as(body, 'ReturnStmt')?.returnval;
  if (val) {
    return {
      SelectStmt: {
        targetList: [{ ResTarget: { val } }],
        limitOption: 'LIMIT_OPTION_DEFAULT',
        op: 'SETOP_NONE',
      },
    };
  }
  const [list, ...others] = as(body, 'List')?.items ?? [];
  const [select, ...more] = as(list, 'List')?.items ?? [];
  return others.length + more.length === 0 ? select : undefined;
}

const PARTS: ReadonlySet<string> = new Set(['targetList', 'limitOption', 'op']);

/** Expressions, and nothing that says which rows there are. */
function isTargetList(node: Node | undefined): node is Node {
  const select = as(node, 'SelectStmt');
  return (
    select !== undefined &&
    Object.keys(select).every((key) => PARTS.has(key)) &&
    select.op === 'SETOP_NONE' &&
    select.limitOption === 'LIMIT_OPTION_DEFAULT'
  );
}

export function parameterName(number: number): string {
  return `$${number}`;
}

function withColumns(node: Node): Node {
  const tag: NodeTag = 'ParamRef';
  // A copy of the tree is a tree.
  return JSON.parse(JSON.stringify(node), (_key, value: unknown) =>
    typeof value === 'object' && value !== null && tag in value
      ? { ColumnRef: { fields: [{ String: { sval: parameterName(numberOf(value)) } }] } }
      : value,
  ) as Node;
}

function numberOf(value: object): number {
  const parameter = 'ParamRef' in value ? value.ParamRef : undefined;
  const isNumbered = typeof parameter === 'object' && parameter !== null && 'number' in parameter;
  return isNumbered ? Number(parameter.number) : 0;
}
