/** COPY: relations and queries, in and out. */
import { insert } from './changes.ts';
import { copyOptions } from './copy-options.ts';
import { expressions } from './expressions.ts';
import { namedRelation } from './from-items.ts';
import { constant, derive, type NamedLineage } from './lineage.ts';
import type { Scope, Table } from './scope.ts';
import type { StatementFacts } from './statement-facts.ts';
import { type Effect, innerQuery, result, type StatementResult } from './statements.ts';
import { as, type FieldsOf, type Node, stringOf } from './tree.ts';

export function copy(facts: StatementFacts, fields: FieldsOf<'CopyStmt'>): StatementResult {
  const direction = fields.is_from ? 'in' : 'out';
  facts.verb(fields.is_from ? 'insert' : 'select');
  if (fields.filename !== undefined || fields.is_program) {
    const way = fields.is_from ? 'FROM' : 'TO';
    facts.serverAccess.add(`COPY … ${way} ${fields.is_program ? 'PROGRAM' : 'a server file'}`);
  }
  const format = copyFormat(fields.options);
  const options = fields.is_from ? undefined : copyOptions(fields.options);
  const copy = { direction, format, ...(options && { options }) } as const;
  const protocol: Effect = { copy };
  if (fields.query) {
    facts.mayLookUp = true;
    return result('copy', innerQuery(facts, fields.query, undefined).columns, protocol);
  }
  const names = (fields.attlist ?? []).flatMap((node) => stringOf(node) ?? []);
  if (fields.is_from) {
    facts.countIsInTag = true;
    copyIn(facts, fields, names);
    return result('copy', undefined, protocol);
  }
  const table = fields.relation && namedRelation(facts, fields.relation);
  const columns = table && copiedColumns(facts, table, names);
  for (const column of columns ?? []) {
    facts.noteRead(column.lineage);
  }
  if (!table?.relation || !columns) {
    return result('copy', columns ?? [], protocol);
  }
  const { schemaname, relname = '' } = fields.relation ?? {};
  const source = {
    type: 'table',
    name: schemaname === undefined ? [relname] : [schemaname, relname],
    columns: columns.map(({ name }) => name),
    oid: table.relation.oid,
  } as const;
  return result('copy', columns, { copy: { ...copy, source } });
}

/** Without a list a COPY leaves generated columns out. */
function copiedColumns(
  facts: StatementFacts,
  { columns: all, relation }: Table,
  names: readonly string[],
): readonly NamedLineage[] {
  if (names.length === 0) {
    const generated = new Set(
      relation?.columns.flatMap(({ name, generatedFrom, dropped }) =>
        generatedFrom === undefined || dropped ? [] : [name],
      ),
    );
    return all.filter(({ name }) => !generated.has(name));
  }
  return names.map((name) => {
    const found = all.find((column) => column.name === name);
    if (!found) {
      facts.refuse(`column ${name} is not known`, { missing: name });
    }
    return found ?? { name, lineage: constant() };
  });
}

/** COPY … FROM as the INSERT that it is: same target rules, same triggers. */
function copyIn(
  facts: StatementFacts,
  fields: FieldsOf<'CopyStmt'>,
  names: readonly string[],
): void {
  insert(
    facts,
    {
      ...(fields.relation ? { relation: fields.relation } : {}),
      cols: names.map((name) => ({ ResTarget: { name } })),
    },
    undefined,
  );
  if (fields.whereClause && fields.relation) {
    const table = namedRelation(facts, fields.relation);
    const scope: Scope = {
      tables: table ? [table] : [],
      columns: table?.columns ?? [],
      outer: undefined,
    };
    facts.noteComputed(derive(expressions(facts, [fields.whereClause], scope)), 'WHERE');
  }
}

function copyFormat(options: readonly Node[] | undefined): 'text' | 'csv' | 'binary' {
  const formats = (options ?? []).flatMap((option) => {
    const element = as(option, 'DefElem');
    return element?.defname === 'format' ? (stringOf(element.arg) ?? '') : [];
  });
  const format = formats.at(-1)?.toLowerCase();
  return format === 'csv' || format === 'binary' ? format : 'text';
}
