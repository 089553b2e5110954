/** What parsed texts of the catalog mention. */

/**
 * @param tree parse result of an expression over one table
 * @returns the names of all columns in it; undefined when the tree is not known or `*` is in it
 */
export function columnNamesIn(tree: unknown): readonly string[] | undefined {
  if (tree === undefined) {
    return undefined;
  }
  const names: string[] = [];
  let complete = true;
  const open: unknown[] = [tree];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) {
      continue;
    }
    if ('ColumnRef' in value) {
      const last = lastName(value.ColumnRef);
      complete &&= last !== undefined;
      names.push(last ?? '');
    }
    open.push(...Object.values(value));
  }
  return complete ? names : undefined;
}

function lastName(reference: unknown): string | undefined {
  if (typeof reference !== 'object' || reference === null || !('fields' in reference)) {
    return undefined;
  }
  const fields: unknown = reference.fields;
  const last: unknown = Array.isArray(fields) ? fields.at(-1) : undefined;
  if (typeof last !== 'object' || last === null || !('String' in last)) {
    return undefined;
  }
  const node = last.String;
  return typeof node === 'object' &&
    node !== null &&
    'sval' in node &&
    typeof node.sval === 'string'
    ? node.sval
    : undefined;
}
