/**
 * Trees of texts that differ only in constants of the same length, without parsing each.
 *
 * A program that writes values into its SQL sends another text each time, and each would cross
 * to the parser's thread and back. The second of them has the tree of the first with other values
 * in it, and that can be known for certain:
 *
 * - Digits are exchanged for the same number of digits (at most nine), between delimiters that
 *   end an integer for the scanner; what stands between two quotes for as many characters without
 *   a quote or backslash. Every other character, and so every location, stays.
 * - The tree of the first text shows for each of these runs exactly one constant of that value at
 *   that place. So the scanner was not inside another string, a comment or a name there, and it
 *   gives the same kinds of tokens for the second text: nine digits are always an ICONST, and a
 *   string ends with the first quote, whatever standard_conforming_strings is.
 * - The grammar chooses its rules by kinds of tokens, not by values. The few actions that look at
 *   a value (FLOAT(n), a minus sign before it) do not leave a constant at that place, and what
 *   does not show up as a constant is not exchanged.
 *
 * This saves the parsing. Whether analysis and verdict are the same as well is not assumed: the
 * tree tells whether anybody looked at a value that was exchanged (`ExchangedTree.wasRead`). Only
 * what looks at the text besides must not depend on it: a comment for pg_hint_plan is looked for in
 * the whole text, so a string that has the beginning of one is not exchanged. Nor is one that may hold
 * a document or a placeholder of a detector, so that these need not be looked for in others
 * (`isPlainConstant`).
 */

/** Texts above this are parsed; what a program writes in a loop is shorter. Characters. */
const MAX_TEXT = 4096;
const MAX_CONSTANTS = 64;
/** Bytes of trees, estimated. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_TREE_JSON_BYTES = 64 * 1024;

/** An integer, or a string with its quotes: the first of them that begins, from left to right. */
const CONSTANT =
  /(?<=[\s(,=<>+*/|~])(?:\d{1,9}|'(?!\s*null\s*')(?:[^'\\/[{]|\/(?!\*))*')(?=[\s),;:|]|$)/g;
const QUOTE = "'";
const ASCII = /^[\t\n\r\x20-\x7e]*$/;

/** A text with its constants taken out. */
export interface ConstantShape {
  readonly key: string;
  readonly places: readonly number[];
  readonly values: readonly (number | string)[];
}

/** @returns undefined where there is nothing to exchange, or too much. */
export function constantShape(text: string): ConstantShape | undefined {
  if (text.length > MAX_TEXT || !ASCII.test(text)) {
    return undefined;
  }
  const places: number[] = [];
  const values: (number | string)[] = [];
  const key = text.replace(CONSTANT, (constant, place: number) => {
    places.push(place);
    if (!constant.startsWith(QUOTE)) {
      values.push(Number(constant));
      return '0'.repeat(constant.length);
    }
    values.push(constant.slice(1, -1));
    return `'${'_'.repeat(constant.length - 2)}'`;
  });
  return places.length === 0 || places.length > MAX_CONSTANTS ? undefined : { key, places, values };
}

/** Where the constants are in a tree: keys to descend by, and at the end the constant's index. */
interface Way {
  readonly steps: Map<string, Way>;
  constant: number | undefined;
}

interface Known {
  /** A string of the same key can be no string: then other places were taken for constants. */
  readonly places: string;
  readonly tree: object;
  readonly way: Way;
  readonly bytes: number;
}

/** A tree with other constants in it than the one that was parsed. */
export interface ExchangedTree {
  readonly tree: unknown;
  /**
   * Whether the value of an exchanged constant has been looked at, in any way, since the tree was
   * made. As long as nobody did, whatever was computed from the tree would be the same with others.
   */
  wasRead(): boolean;
}

export class ConstantShapes {
  readonly #known = new Map<string, Known>();
  #bytes = 0;

  /** The tree that the parser would give; parts are shared with other trees: do not change it. */
  tree(shape: ConstantShape): ExchangedTree | undefined {
    const known = this.#known.get(shape.key);
    if (known === undefined || known.places !== shape.places.join()) {
      return undefined;
    }
    this.#known.delete(shape.key);
    this.#known.set(shape.key, known);
    let wasRead = false;
    const watch = (value: number | string): object =>
      watched(value, () => {
        wasRead = true;
      });
    const tree = copy(known.tree, known.way, (constant) => watch(shape.values[constant] ?? 0));
    return { tree, wasRead: () => wasRead };
  }

  /** @param tree what the parser gave for the text of this shape. */
  learn(shape: ConstantShape, tree: unknown, jsonBytes: number): void {
    if (jsonBytes > MAX_TREE_JSON_BYTES || this.#known.has(shape.key) || !isObject(tree)) {
      return;
    }
    const way = findConstants(tree, shape);
    if (way === undefined) {
      return;
    }
    // A parsed tree takes several times its JSON.
    const bytes = shape.key.length * 2 + jsonBytes * 6 + 200;
    this.#known.set(shape.key, { places: shape.places.join(), tree, way, bytes });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#known) {
      if (this.#bytes <= MAX_BYTES) {
        return;
      }
      this.#known.delete(oldest);
      this.#bytes -= entry.bytes;
    }
  }
}

/** @returns undefined unless each place holds exactly one constant, of exactly that value. */
function findConstants(tree: object, { places, values }: ConstantShape): Way | undefined {
  const indexes = new Map(places.map((place, index) => [place, index]));
  const root: Way = { steps: new Map(), constant: undefined };
  const found = new Set<number>();
  let isSound = true;
  const visit = (node: object, keys: string[]): void => {
    for (const [key, child] of Object.entries(node)) {
      if (!isObject(child)) {
        continue;
      }
      keys.push(key);
      const constant = key === 'A_Const' ? constantOf(child) : undefined;
      const index = constant === undefined ? undefined : indexes.get(constant.location);
      if (index !== undefined) {
        isSound &&= !found.has(index) && constant?.value === values[index];
        found.add(index);
        mark(root, keys, index);
      }
      visit(child, keys);
      keys.pop();
    }
  };
  visit(tree, []);
  return isSound && found.size === places.length ? root : undefined;
}

/** The binding leaves out a value of 0 and a location of 0. */
function constantOf(fields: object): { location: number; value: unknown } | undefined {
  const location = 'location' in fields ? Number(fields.location) : 0;
  if ('ival' in fields && isObject(fields.ival)) {
    return { location, value: 'ival' in fields.ival ? Number(fields.ival.ival) : 0 };
  }
  if ('sval' in fields && isObject(fields.sval)) {
    return { location, value: 'sval' in fields.sval ? fields.sval.sval : '' };
  }
  return undefined;
}

function mark(root: Way, keys: readonly string[], constant: number): void {
  let way = root;
  for (const key of keys) {
    let next = way.steps.get(key);
    if (next === undefined) {
      next = { steps: new Map(), constant: undefined };
      way.steps.set(key, next);
    }
    way = next;
  }
  way.constant = constant;
}

const PLAIN = new WeakSet<object>();

/**
 * Tells without a look at the value that a string is neither JSON of an array, an object or null, nor
 * has a bracket in it, as every placeholder of a detector does.
 * @param holder of the value of a constant
 */
export function isPlainConstant(holder: unknown): boolean {
  return isObject(holder) && PLAIN.has(holder);
}

/** Stands for the object that holds a value. The binding leaves out a 0. */
function watched(value: number | string, onRead: () => void): object {
  const read = <T>(result: T): T => {
    onRead();
    return result;
  };
  // Every way to see what is in an object, so that a walk over all members counts as well.
  const holder = typeof value === 'number' ? { ival: value } : { sval: value };
  const stand = new Proxy(value === 0 ? {} : holder, {
    get: (target, key) => read(Reflect.get(target, key)),
    has: (target, key) => read(Reflect.has(target, key)),
    ownKeys: (target) => read(Reflect.ownKeys(target)),
    getOwnPropertyDescriptor: (target, key) => read(Reflect.getOwnPropertyDescriptor(target, key)),
  });
  PLAIN.add(stand);
  return stand;
}

/** Copies what is on the way to a constant, and nothing else. */
function copy(node: unknown, way: Way, valueAt: (constant: number) => object): unknown {
  if (way.constant !== undefined) {
    const fields = isObject(node) ? node : {};
    const kind = 'sval' in fields ? 'sval' : 'ival';
    return { ...fields, [kind]: valueAt(way.constant) };
  }
  if (Array.isArray(node)) {
    const items: unknown[] = [...node];
    for (const [key, step] of way.steps) {
      items[Number(key)] = copy(items[Number(key)], step, valueAt);
    }
    return items;
  }
  const fields: Record<string, unknown> = { ...(isObject(node) ? node : {}) };
  for (const [key, step] of way.steps) {
    fields[key] = copy(fields[key], step, valueAt);
  }
  return fields;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
