/**
 * Relation and function patterns (`public.*`, `"Sales".order_*`) and qualified names of columns.
 * Names stand as the catalog stores them: case matters, double quotes are needed only around a
 * dot, a star or a space.
 */
export interface QualifiedPattern {
  readonly schema: string;
  readonly name: string;
}

const PART = '"(?:[^"]|"")+"|[^."\\s]+';
const TWO_PARTS = new RegExp(`^(${PART})\\.(${PART})$`);
const THREE_PARTS = new RegExp(`^(${PART})\\.(${PART})\\.(${PART})$`);

/** @returns undefined when the text is not `*` or `schema.name`. */
export function splitPattern(text: string): QualifiedPattern | undefined {
  if (text === '*') {
    return { schema: '*', name: '*' };
  }
  const parts = TWO_PARTS.exec(text);
  return parts ? { schema: parts[1] ?? '', name: parts[2] ?? '' } : undefined;
}

/** @returns undefined when the text is not `schema.relation.column`: a star stands for itself, in quotes. */
export function splitColumn(
  text: string,
): { schema: string; relation: string; column: string } | undefined {
  const parts = THREE_PARTS.exec(text);
  if (!parts) {
    return undefined;
  }
  const written = [parts[1] ?? '', parts[2] ?? '', parts[3] ?? ''];
  if (written.some(isWildcard)) {
    return undefined;
  }
  const [schema, relation, column] = written.map(unquote);
  return schema && relation && column ? { schema, relation, column } : undefined;
}

/** Whether the pattern, as it stands in a rule, covers this name. Bad patterns cover nothing. */
export function patternMatches(pattern: string, schema: string, name: string): boolean {
  const parts = splitPattern(pattern);
  return (
    parts !== undefined &&
    (partMatches(parts.schema, schema) || partMatches(parts.schema, temporaryAlias(schema))) &&
    partMatches(parts.name, name)
  );
}

/**
 * A rule cannot know the number of a session's temporary schema and says `pg_temp`, as SQL does.
 * PostgreSQL lets nobody make a schema of such a name, and nobody read another session's tables.
 */
function temporaryAlias(schema: string): string {
  return schema.replace(/^pg_temp_\d+$/, 'pg_temp');
}

/** Whether the pattern covers some name in this schema. */
export function reachesSchema(pattern: string, schema: string): boolean {
  const parts = splitPattern(pattern);
  return parts !== undefined && partMatches(parts.schema, schema);
}

/** Whether the pattern's schema is written out, so that the author meant just this schema. */
export function namesSchema(pattern: string): boolean {
  const parts = splitPattern(pattern);
  return parts !== undefined && !isWildcard(parts.schema);
}

/** Schema and name are written out. */
export function namesOne(pattern: string): boolean {
  const parts = splitPattern(pattern);
  return namesSchema(pattern) && parts !== undefined && !isWildcard(parts.name);
}

/** A part without wildcards that is exactly this name. */
export function namesExactly(pattern: string, name: string): boolean {
  const parts = splitPattern(pattern);
  return parts !== undefined && !isWildcard(parts.name) && unquote(parts.name) === name;
}

/** Quotes only where needed, so that what a refusal shows can be put into a rule. */
export function qualifiedName(schema: string, name: string): string {
  // Where it would be made is not known: a search_path without a schema of one's own.
  return schema === '' ? quotePart(name) : `${quotePart(schema)}.${quotePart(name)}`;
}

function partMatches(part: string, name: string): boolean {
  if (part.startsWith('"')) {
    return unquote(part) === name;
  }
  return isWildcard(part) ? wildcardMatches(part, name) : part === name;
}

/** A star in quotes is one of the name. */
function isWildcard(part: string): boolean {
  return !part.startsWith('"') && part.includes('*');
}

/** Greedy `*` matching without a regular expression: linear, whatever the pattern. */
export function wildcardMatches(pattern: string, name: string): boolean {
  const pieces = pattern.split('*');
  const first = pieces[0] ?? '';
  const last = pieces[pieces.length - 1] ?? '';
  if (!name.startsWith(first) || name.length < first.length + last.length) {
    return false;
  }
  let from = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, from);
    if (found < 0) {
      return false;
    }
    from = found + piece.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}

function unquote(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}

function quotePart(part: string): string {
  return /^[^."*\s]+$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`;
}
