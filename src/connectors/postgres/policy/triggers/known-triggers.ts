/**
 * Trigger functions in C whose documentation says what they do. A function in C is what its library
 * and the name in it say, whatever it is called in SQL, and only a superuser can make one.
 */
import type { CatalogFunction } from '../facts/catalog-types.ts';
import { isBuiltIn } from '../facts/names.ts';
import type { Node } from '../parse/tree.ts';
import type { TriggerBody, TriggerStep } from './trigger-body.ts';

/** Of contrib: what they do with the column that an argument names. */
const SETTING: readonly {
  readonly name: string;
  readonly library: string;
  readonly step: number;
}[] = [
  { name: 'moddatetime', library: 'moddatetime', step: 1 },
  { name: 'insert_username', library: 'insert_username', step: 1 },
  // autoinc(column, sequence, column, sequence, …)
  { name: 'autoinc', library: 'autoinc', step: 2 },
  // Unlinks a large object that the row refers to no more, and leaves the row alone.
  { name: 'lo_manage', library: 'lo', step: Number.POSITIVE_INFINITY },
];
const RETURN_NEW: TriggerStep = { kind: 'return', records: ['new'] };
const CONSTANT: Node = { A_Const: { isnull: true } };

/** @param args of the trigger */
export function knownTrigger(
  called: CatalogFunction,
  source: { readonly text: string; readonly library: string | undefined } | undefined,
  args: readonly string[],
): TriggerBody | undefined {
  if (isBuiltIn(called)) return builtInTrigger(called.name, args);
  const known = SETTING.find(
    ({ name, library }) =>
      called.language === 'c' &&
      called.extension === library &&
      source?.text === name &&
      source.library === `$libdir/${library}`,
  );
  if (known === undefined) return undefined;
  const columns =
    known.step === Number.POSITIVE_INFINITY
      ? []
      : args.filter((_, index) => index % known.step === 0);
  return body(columns.map((column) => assign(column, CONSTANT)));
}

function builtInTrigger(name: string, args: readonly string[]): TriggerBody | undefined {
  if (name === 'suppress_redundant_updates_trigger') {
    // Whether a row comes back depends on all of it.
    const steps: TriggerStep[] = [{ kind: 'return', records: [] }];
    return body([{ kind: 'if', branches: [{ condition: reference('new'), steps }] }]);
  }
  const [vector, config, ...columns] = args;
  if (vector === undefined || config === undefined) return undefined;
  if (name === 'tsvector_update_trigger') {
    return body(columns.map((column) => assign(vector, reference('new', column))));
  }
  return name === 'tsvector_update_trigger_column'
    ? body([config, ...columns].map((column) => assign(vector, reference('new', column))))
    : undefined;
}

function body(steps: readonly TriggerStep[]): TriggerBody {
  return { records: [], steps: [...steps, RETURN_NEW] };
}

function assign(column: string, value: Node): TriggerStep {
  return { kind: 'assign', record: 'new', column, value };
}

function reference(...names: readonly string[]): Node {
  return { ColumnRef: { fields: names.map((sval) => ({ String: { sval } })), location: 0 } };
}
