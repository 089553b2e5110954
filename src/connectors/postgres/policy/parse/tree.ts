/** The parser's tree, read with suspicion: what is not known is reported, never skipped. */
import type { Node } from 'libpg-query';

export type { Node } from 'libpg-query';

type TagOf<N> = N extends unknown ? keyof N : never;
export type NodeTag = TagOf<Node>;
export type FieldsOf<T extends NodeTag> = Extract<Node, Record<T, unknown>>[T];

export function is<T extends NodeTag>(
  node: Node | undefined,
  tag: T,
): node is Extract<Node, Record<T, unknown>> {
  return node !== undefined && tag in node;
}

/** The fields of a node of this type, else undefined. */
export function as<T extends NodeTag>(node: Node | undefined, tag: T): FieldsOf<T> | undefined {
  if (!is(node, tag)) {
    return undefined;
  }
  return node[tag];
}

/** The name of the node's type; an empty node ({}) stands for NULL in lists. */
export function tagOf(node: Node): string | undefined {
  return Object.keys(node)[0];
}

export function stringOf(node: Node | undefined): string | undefined {
  return as(node, 'String')?.sval ?? (is(node, 'String') ? '' : undefined);
}

/** A list of String nodes (a qualified name); undefined when anything else is in it. */
export function namesOf(nodes: readonly Node[] | undefined): string[] | undefined {
  const names: string[] = [];
  for (const node of nodes ?? []) {
    const name = stringOf(node);
    if (name === undefined) {
      return undefined;
    }
    names.push(name);
  }
  return names;
}

/** Plain constant: text of a string, number or boolean literal; undefined for anything else. */
export function literalText(node: Node | undefined): string | undefined {
  const constant = as(node, 'A_Const');
  if (constant) {
    if (constant.sval) return constant.sval.sval ?? '';
    if (constant.ival) return String(constant.ival.ival ?? 0);
    if (constant.fval) return constant.fval.fval ?? '0';
    if (constant.boolval) return constant.boolval.boolval ? 'true' : 'false';
    return undefined;
  }
  const plain = as(node, 'TypeCast');
  return plain ? literalText(plain.arg) : undefined;
}
