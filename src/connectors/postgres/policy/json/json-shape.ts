/**
 * The shape of a JSON value, and where what stands at each place of it comes from. It says all that
 * can stand there: the gateway masks by it and shows nothing of a document that has anything else.
 */
import {
  constant,
  derive,
  type Lineage,
  lazily,
  mixed,
  type NamedLineage,
  type Origin,
  oneOf,
} from '../facts/lineage.ts';

export interface JsonShape {
  /** What decides about the value as a whole: filters, conditions, keys, the column that holds it. */
  readonly around: ReadonlySet<Origin>;
  readonly content: JsonContent;
  /** Members that are NULL are left out of all objects in it. */
  readonly isStripped?: boolean;
  /** Of arrays in arrays: what is in objects is worked out when it is asked for. */
  readonly depth: number;
}

export type JsonContent =
  /** The JSON null. */
  | { readonly type: 'null' }
  /** What to_json() makes of a value of which no more is known. */
  | { readonly type: 'value'; readonly value: Lineage }
  | {
      readonly type: 'object';
      readonly members: readonly JsonMember[];
      /** Members that are NULL are left out. */
      readonly leavesOutNull: boolean;
    }
  /** An object with keys that are not known. */
  | { readonly type: 'map'; readonly values: Lineage; readonly leavesOutNull: boolean }
  | { readonly type: 'array'; readonly elements: Lineage; readonly leavesOutNull: boolean }
  /** An array with one entry for each place. */
  | { readonly type: 'list'; readonly elements: readonly Lineage[] };

export interface JsonMember extends NamedLineage {
  readonly optional: boolean;
}

const NOTHING: ReadonlySet<Origin> = new Set();

/** Deeper arrays count as one value: each query can put one more around those of another. */
const MAX_DEPTH = 64;

export function shape(content: JsonContent, around: ReadonlySet<Origin> = NOTHING): JsonShape {
  const inner = innerValues(content);
  const depth = inner.reduce((most, { document }) => Math.max(most, 1 + (document?.depth ?? 0)), 0);
  return depth > MAX_DEPTH
    ? { around, content: { type: 'value', value: derive(inner) }, depth: 0 }
    : { around, content, depth };
}

function innerValues(content: JsonContent): readonly Lineage[] {
  switch (content.type) {
    case 'map':
      return [content.values];
    case 'array':
      return [content.elements];
    case 'list':
      return content.elements;
    default:
      return [];
  }
}

/** What to_json() makes of a row: names must be those that the server uses. */
export function rowShape(
  fields: readonly NamedLineage[],
  around: ReadonlySet<Origin> = NOTHING,
): JsonShape {
  return shape({ type: 'object', members: membersOf(fields), leavesOutNull: false }, around);
}

export function arrayShape(
  elements: Lineage,
  around: ReadonlySet<Origin> = NOTHING,
  leavesOutNull = false,
): JsonShape {
  return shape({ type: 'array', elements, leavesOutNull }, around);
}

/** A name that is there twice stands for any of its values: json keeps both, jsonb the last. */
export function membersOf(fields: readonly NamedLineage[]): readonly JsonMember[] {
  const byName = new Map<string, NamedLineage[]>();
  for (const field of fields) {
    byName.set(field.name, [...(byName.get(field.name) ?? []), field]);
  }
  return [...byName].map(([name, same]) =>
    member(name, false, () => oneOf(same.map((field) => field.lineage))),
  );
}

function member(name: string, optional: boolean, make: () => Lineage): JsonMember {
  const field = lazily(name, make);
  return {
    name,
    optional,
    get lineage() {
      return field.lineage;
    },
  };
}

/** The same document, about which these values decide, too. */
export function surrounded(document: JsonShape, by: Iterable<Origin>): JsonShape {
  const around = new Set([...document.around, ...by]);
  return around.size === document.around.size ? document : { ...document, around };
}

/** One of several documents; undefined where one is not known or they have nothing in common. */
export function mergeShapes(documents: readonly (JsonShape | undefined)[]): JsonShape | undefined {
  const [first, ...others] = new Set(documents);
  return others.reduce<JsonShape | undefined>(
    (merged, other) => merged && other && mergeTwo(merged, other),
    first,
  );
}

/**
 * Documents that were merged before: an array can have the same array in it twice, which has
 * another one twice, and so on.
 */
const MERGED = new WeakMap<JsonShape, WeakMap<JsonShape, JsonShape | 'none'>>();

function mergeTwo(a: JsonShape, b: JsonShape): JsonShape | undefined {
  const known = MERGED.get(a) ?? new WeakMap<JsonShape, JsonShape | 'none'>();
  MERGED.set(a, known);
  const merged = known.get(b) ?? mergeAnew(a, b) ?? 'none';
  known.set(b, merged);
  return merged === 'none' ? undefined : merged;
}

function mergeAnew(a: JsonShape, b: JsonShape): JsonShape | undefined {
  const content = mergeContents(a.content, b.content);
  const isStripped = a.isStripped === true || b.isStripped === true;
  return content && surrounded({ ...shape(content, a.around), isStripped }, b.around);
}

function mergeContents(a: JsonContent, b: JsonContent): JsonContent | undefined {
  if (a.type === 'null') return b;
  if (b.type === 'null') return a;
  if (a.type === 'value' && b.type === 'value') {
    return { type: 'value', value: oneOf([a.value, b.value]) };
  }
  if (a.type === 'object' && b.type === 'object') {
    return {
      type: 'object',
      members: joinedMembers(a.members, b.members, 'or'),
      leavesOutNull: a.leavesOutNull || b.leavesOutNull,
    };
  }
  if (a.type === 'list' && b.type === 'list' && a.elements.length === b.elements.length) {
    const others = b.elements;
    const elements = a.elements.map((one, index) => oneOf([one, others[index] ?? one]));
    return { type: 'list', elements };
  }
  if ((a.type === 'array' || a.type === 'list') && (b.type === 'array' || b.type === 'list')) {
    return {
      type: 'array',
      elements: oneOf([...elementsOf(a), ...elementsOf(b)]),
      leavesOutNull: [a, b].some((one) => one.type === 'array' && one.leavesOutNull),
    };
  }
  if ((a.type === 'map' || a.type === 'object') && (b.type === 'map' || b.type === 'object')) {
    return {
      type: 'map',
      values: oneOf([...valuesOf(a), ...valuesOf(b)]),
      leavesOutNull: a.leavesOutNull || b.leavesOutNull,
    };
  }
  return undefined;
}

type Content<T extends JsonContent['type']> = Extract<JsonContent, { readonly type: T }>;

function elementsOf(content: Content<'array' | 'list'>): readonly Lineage[] {
  return content.type === 'array' ? [content.elements] : content.elements;
}

function valuesOf(content: Content<'map' | 'object'>): readonly Lineage[] {
  return content.type === 'map' ? [content.values] : content.members.map(({ lineage }) => lineage);
}

/** `or`: members of one of them; `and`: of both at once, where the second overrides the first. */
export function joinedMembers(
  a: readonly JsonMember[],
  b: readonly JsonMember[],
  how: 'or' | 'and',
): readonly JsonMember[] {
  const others = new Map(b.map((one) => [one.name, one]));
  const own = new Set(a.map(({ name }) => name));
  const shared = a.map((one) => {
    const other = others.get(one.name);
    const isOptional =
      how === 'or'
        ? one.optional || !other || other.optional
        : one.optional && (other?.optional ?? true);
    return member(one.name, isOptional, () =>
      other ? oneOf([one.lineage, other.lineage]) : one.lineage,
    );
  });
  const rest = b
    .filter(({ name }) => !own.has(name))
    .map((one) => member(one.name, how === 'or' || one.optional, () => one.lineage));
  return [...shared, ...rest];
}

/** Documents of which this is known: rows and arrays can have the same one in them many times. */
const LOOSENED = new WeakMap<JsonShape, JsonShape>();

/**
 * The document, or a constant of which nothing is known. Members may be missing, and each place can
 * hold the constant's value: under the mask of a column it would show what another value looks like,
 * and a hash of it which rows have that value.
 */
export function loosened(document: JsonShape): JsonShape {
  const known = LOOSENED.get(document) ?? { ...document, content: loosenedContent(document) };
  LOOSENED.set(document, known);
  return known;
}

function loosenedContent({ content }: JsonShape): JsonContent {
  switch (content.type) {
    case 'null':
    case 'value':
      return { type: 'value', value: content.type === 'null' ? constant() : mixed(content.value) };
    case 'object': {
      const members = content.members.map((one) =>
        member(one.name, true, () => mixed(one.lineage)),
      );
      return { ...content, members };
    }
    case 'map':
      return { ...content, values: mixed(content.values) };
    case 'array':
      return { ...content, elements: mixed(content.elements) };
    case 'list':
      return { type: 'array', elements: mixed(oneOf(content.elements)), leavesOutNull: false };
  }
}

/** Deeper constants, and those with more values, are taken for JSON of which nothing is known. */
const MAX_LITERAL_LENGTH = 10_000;

/** The JSON in a literal such as '[]'; undefined where it is none. */
export function literalShape(text: string): JsonShape | undefined {
  if (text.length > MAX_LITERAL_LENGTH || !/^\s*(?:[[{]|null\s*$)/.test(text)) {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return constantShape(value, 0);
}

const MAX_LITERAL_DEPTH = 32;

function constantShape(value: unknown, depth: number): JsonShape | undefined {
  if (typeof value !== 'object' || depth > MAX_LITERAL_DEPTH) {
    return shape({ type: 'value', value: constant() });
  }
  if (value === null) {
    return shape({ type: 'null' });
  }
  const inner = (part: unknown): Lineage => ({
    ...constant(),
    document: constantShape(part, depth + 1),
  });
  if (Array.isArray(value)) {
    return shape({ type: 'list', elements: value.map(inner) });
  }
  const fields = Object.entries(value).map(([name, part]) => ({ name, lineage: inner(part) }));
  return rowShape(fields);
}
