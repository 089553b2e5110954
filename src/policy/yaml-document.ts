/**
 * YAML text to a plain value, with the place of everything in it. Only the plain part of YAML:
 * no aliases (they make bombs and hide what a rule says), no merge keys, no tags, one document.
 */
import { type Document, isAlias, isMap, isNode, LineCounter, parseDocument, visit } from 'yaml';
import type { PolicyProblem } from './policy.ts';

/** UTF-16 units. The largest policy file that anyone would want to review. */
const MAX_FILE_LENGTH = 256 * 1024;
/** YAML nesting; the schema needs six. */
const MAX_NESTING = 50;

export type YamlPath = readonly (string | number)[];

export interface YamlDocument {
  readonly value: unknown;
  /** Place of the value at this path, or of the closest thing around it. */
  place(path: YamlPath): { line: number; column: number };
  /** Place of the key itself, for keys that should not be there. */
  placeOfKey(path: YamlPath, key: string): { line: number; column: number };
}

export type YamlOutcome =
  | { readonly document: YamlDocument }
  | { readonly problems: readonly PolicyProblem[] };

export function readYaml(file: string, text: string): YamlOutcome {
  const at = (line: number, column: number, message: string): PolicyProblem => ({
    file,
    line,
    column,
    message,
  });
  if (text.length > MAX_FILE_LENGTH) {
    return { problems: [at(1, 1, `the file is larger than ${MAX_FILE_LENGTH / 1024} KiB`)] };
  }
  const deep = tooDeep(text);
  if (deep !== undefined) {
    return { problems: [at(deep, 1, `nested more than ${MAX_NESTING} levels deep`)] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    stringKeys: true,
    strict: true,
  });
  const problems = [...document.errors, ...document.warnings].map((fault) => {
    const { line, col } = lines.linePos(fault.pos[0]);
    return at(
      line,
      col,
      fault.code === 'MULTIPLE_DOCS' ? 'expected one document' : lowerFirst(fault.message),
    );
  });
  visit(document, {
    Node(_key, node) {
      const place = lines.linePos(node.range?.[0] ?? 0);
      if (isAlias(node)) {
        problems.push(at(place.line, place.col, 'aliases are not allowed; write the value out'));
      } else if (node.tag !== undefined) {
        problems.push(at(place.line, place.col, 'tags are not allowed'));
      }
    },
  });
  if (problems.length > 0) {
    return { problems };
  }
  return { document: withPlaces(document, lines) };
}

function withPlaces(document: Document.Parsed, lines: LineCounter): YamlDocument {
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const node = (path: YamlPath): unknown =>
    path.length === 0 ? document.contents : document.getIn(path, true);
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    place(path) {
      for (let length = path.length; length >= 0; length -= 1) {
        const found = node(path.slice(0, length));
        if (isNode(found) && found.range) {
          return place(found.range[0]);
        }
      }
      return { line: 1, column: 1 };
    },
    placeOfKey(path, key) {
      const parent = node(path);
      const pair = isMap(parent)
        ? parent.items.find((item) => isNode(item.key) && item.key.toJSON() === key)
        : undefined;
      return isNode(pair?.key) && pair.key.range ? place(pair.key.range[0]) : this.place(path);
    },
  };
}

/**
 * The composer recurses, so text such as `[[[[…` would end in a stack overflow. Counts flow
 * brackets and indentation generously; a string full of brackets is no policy either.
 * @returns the line where it gets too deep.
 */
function tooDeep(text: string): number | undefined {
  let line = 0;
  let flow = 0;
  for (const content of text.split('\n')) {
    line += 1;
    const indent = /^[ ]*(?:[-?:] +)*/.exec(content)?.[0].length ?? 0;
    for (const character of content) {
      flow += '[{'.includes(character) ? 1 : ']}'.includes(character) ? -1 : 0;
      flow = Math.max(flow, 0);
      if (flow > MAX_NESTING) {
        return line;
      }
    }
    if (indent > MAX_NESTING * 8) {
      return line;
    }
  }
  return undefined;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
