/** Statements around other statements: EXPLAIN, PREPARE and EXECUTE, DECLARE and FETCH. */

import { UNKNOWN_NAME } from '../facts/is-mistake.ts';
import { constant } from '../facts/lineage.ts';
import { findType } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { arrayCandidates } from '../lookups/lookup-values.ts';
import { as, type FieldsOf, literalText, type Node, stringOf } from '../parse/tree.ts';
import { boundSettings, settingText } from './bound-settings.ts';
import { expressions } from './expressions.ts';
import { type KnownStatements, result, type StatementResult, statement } from './statements.ts';

export function explain(
  facts: StatementFacts,
  fields: FieldsOf<'ExplainStmt'>,
  known: KnownStatements,
): StatementResult {
  const runs = hasOption(fields, 'analyze');
  if (fields.query) {
    const inner = statement(facts, fields.query, known);
    if (hasOption(fields, 'serialize', 'none')) noteSizes(facts, inner);
    facts.countIsInTag = false;
    if (runs) {
      facts.verb(inner.verb);
    } else {
      // Planning alone writes nothing, but it can run functions to fold them into constants.
      facts.forgetWrites();
    }
  } else {
    facts.unknown('EXPLAIN of nothing');
  }
  return result('explain', [{ name: 'QUERY PLAN', lineage: constant() }]);
}

/** @param none what turns it off, besides false */
function hasOption(fields: FieldsOf<'ExplainStmt'>, name: string, none?: string): boolean {
  return (fields.options ?? []).some((option) => {
    const element = as(option, 'DefElem');
    return element?.defname?.toLowerCase() === name && !isOff(element.arg, none);
  });
}

/** SERIALIZE tells how many bytes the values would take: next to as many rows as one likes, each one's length. */
function noteSizes(facts: StatementFacts, { columns, outputs }: StatementResult): void {
  for (const { lineage } of columns ?? []) facts.noteComputed(lineage, 'EXPLAIN SERIALIZE');
  for (const { sources } of outputs ?? []) facts.noteComputedColumns(sources, 'EXPLAIN SERIALIZE');
}

/** An option that PostgreSQL reads as false (defGetBoolean). */
function isOff(node: Node | undefined, none = 'off'): boolean {
  if (node === undefined) {
    return false;
  }
  const integer = as(node, 'Integer');
  const text = stringOf(node) ?? literalText(node) ?? as(node, 'Boolean')?.boolval;
  if (integer) {
    return (integer.ival ?? 0) === 0;
  }
  return ['false', 'off', none].includes(String(text).toLowerCase());
}

export function prepare(
  facts: StatementFacts,
  fields: FieldsOf<'PrepareStmt'>,
  known: KnownStatements,
): StatementResult {
  const types = (fields.argtypes ?? []).map((type) => {
    const typeName = as(type, 'TypeName');
    return findType(facts, typeName)?.oid ?? 0;
  });
  facts.parameterTypes = types;
  const inner = fields.query && statement(facts, fields.query, known);
  if (!inner) {
    facts.unknown('PREPARE of nothing');
  }
  facts.verb(inner?.verb ?? 'prepare');
  return { ...result('prepare', inner?.columns), protocol: { prepare: fields.name ?? '' } };
}

export function execute(
  facts: StatementFacts,
  fields: FieldsOf<'ExecuteStmt'>,
  known: KnownStatements,
): StatementResult {
  const name = fields.name ?? '';
  const args = expressions(facts, fields.params, undefined);
  for (const argument of args) {
    facts.noteRead(argument);
  }
  const before = known.prepared(name);
  if (!before) {
    const message = `prepared statement "${name}" does not exist`;
    facts.refuse(message, {
      mistake: { sqlState: UNKNOWN_NAME.prepared, message },
    });
  } else {
    // A value that the statement has declared as an array comes in one argument of EXECUTE.
    const textOf = (parameter: number) => settingText(facts, fields.params?.[parameter - 1]);
    facts.include(
      before,
      ({ candidates }) =>
        typeof candidates === 'number'
          ? candidates
          : arrayCandidates(
              facts,
              withoutCast(fields.params?.[candidates.parameter - 1]),
              undefined,
            ),
      boundSettings(before.protocol.settings ?? [], textOf, facts.context),
    );
    facts.countIsInTag = true;
  }
  return {
    verb: 'execute',
    columns: undefined,
    outputs: before?.outputs,
    protocol: { execute: name },
  };
}

function withoutCast(node: Node | undefined): Node | undefined {
  return as(node, 'TypeCast')?.arg ?? node;
}

export function declare(
  facts: StatementFacts,
  fields: FieldsOf<'DeclareCursorStmt'>,
  known: KnownStatements,
): StatementResult {
  const inner = fields.query && statement(facts, fields.query, known);
  if (!inner) {
    facts.unknown('DECLARE of nothing');
  }
  facts.verb(inner?.verb ?? 'declare');
  return {
    ...result('declare', inner?.columns),
    protocol: { declareCursor: fields.portalname ?? '' },
  };
}

export function fetch(
  facts: StatementFacts,
  fields: FieldsOf<'FetchStmt'>,
  known: KnownStatements,
): StatementResult {
  const name = fields.portalname ?? '';
  const cursor = known.cursor(name);
  if (!cursor) {
    const message = `cursor "${name}" does not exist`;
    facts.refuse(message, {
      mistake: { sqlState: UNKNOWN_NAME.cursor, message },
    });
  } else {
    // Its rows were found, and its values counted, when it was declared.
    facts.include(cursor, () => 0);
  }
  const verb = fields.ismove ? 'move' : 'fetch';
  const outputs = fields.ismove ? undefined : (cursor?.outputs ?? []);
  return { verb, columns: undefined, outputs, protocol: { fetch: name } };
}
