/** nextval(), setval() and currval(): which sequence they are about. */

import type { SequenceFact } from '../facts/analysis-types.ts';
import type { CatalogRelation } from '../facts/catalog-types.ts';
import { findRelation } from '../facts/names.ts';
import { columnByName } from '../facts/relation-attributes.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, literalText, type Node, namesOf } from '../parse/tree.ts';

/** NAMEDATALEN - 1: bytes of a name. */
const MAX_NAME = 63;
const PART = /^\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)/;

export function isSequenceCall(name: string): name is SequenceFact['use'] {
  return name === 'nextval' || name === 'setval' || name === 'currval';
}

/** @param args of the call as written; undefined: not known */
export function noteSequenceCall(
  facts: StatementFacts,
  use: SequenceFact['use'],
  args: readonly Node[] | undefined,
  location: number | undefined,
): void {
  const found = sequenceIn(facts, args?.[0], location);
  if (found === 'not constant') {
    facts.refuse(`the sequence of ${use}() is not a constant`, {
      hint: `Write the sequence as a constant: ${use}('schema.sequence').`,
      location,
      because: { schema: 'pg_catalog', function: use },
    });
  } else if (found) {
    facts.noteSequence(found, use);
  }
}

function sequenceIn(
  facts: StatementFacts,
  node: Node | undefined,
  location: number | undefined,
): CatalogRelation | undefined | 'not constant' {
  const text = literalText(node);
  return text === undefined
    ? serialSequence(facts, node, location)
    : relationIn(facts, text, location);
}

/** pg_get_serial_sequence('table', 'column') with constants. */
function serialSequence(
  facts: StatementFacts,
  node: Node | undefined,
  location: number | undefined,
): CatalogRelation | undefined | 'not constant' {
  const inner = as(node, 'TypeCast')?.arg ?? node;
  const call = as(inner, 'FuncCall');
  const names = namesOf(call?.funcname) ?? [];
  const [table, column] = (call?.args ?? []).map(literalText);
  const isBuiltIn = names.length === 1 || names.at(-2) === 'pg_catalog';
  if (names.at(-1) !== 'pg_get_serial_sequence' || !isBuiltIn) return 'not constant';
  if (table === undefined || column === undefined) return 'not constant';
  const relation = relationIn(facts, table, location);
  if (relation === undefined || relation === 'not constant') return relation;
  const attnum = columnByName(relation, column)?.attnum;
  const own = relation.ownSequences?.find((one) => one.attnum === attnum);
  // Without one the call is about NULL.
  return own && facts.context.catalog.relationByOid(own.sequence);
}

/** As regclass reads it: an OID, or a name that is folded to lower case where it is not quoted. */
function relationIn(
  facts: StatementFacts,
  text: string,
  location: number | undefined,
): CatalogRelation | undefined | 'not constant' {
  if (/^\d+$/.test(text)) return facts.context.catalog.relationByOid(Number(text));
  const names = namesIn(text);
  const [relname = '', schemaname, catalogname] = names.toReversed();
  if (names.length === 0 || names.length > 3) return 'not constant';
  return findRelation(facts, {
    relname,
    ...(schemaname === undefined ? {} : { schemaname }),
    ...(catalogname === undefined ? {} : { catalogname }),
    ...(location === undefined ? {} : { location }),
  });
}

/** Empty: it is no name. */
function namesIn(text: string): string[] {
  const names: string[] = [];
  for (let rest = text; ; ) {
    const [all, quoted, plain = '', end] = PART.exec(rest) ?? [];
    if (all === undefined) return [];
    const name = quoted?.replaceAll('""', '"') ?? lowered(plain);
    names.push(Buffer.from(name).subarray(0, MAX_NAME).toString());
    rest = rest.slice(all.length);
    if (end === '') return names;
  }
}

/** The server folds beyond ASCII only in single-byte encodings. */
function lowered(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
