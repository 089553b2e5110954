/** A function call: which functions it can mean, what they do, and what comes out. */

import type { CatalogFunction, CatalogRelation } from '../facts/catalog-types.ts';
import { constant, derive, type Lineage, withOrigins } from '../facts/lineage.ts';
import {
  findFunctions,
  findType,
  isBuiltIn,
  refuseUnsettledCode,
  typeNamed,
} from '../facts/names.ts';
import { columnByName } from '../facts/relation-attributes.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import type { FieldsOf } from '../parse/tree.ts';
import { noteGivenCode } from '../verdict/given-code.ts';
import { notePassed } from './applied-casts.ts';
import { resultOf, TYPE } from './function-types.ts';
import { builtInEffect, extensionReach, keepsArguments } from './functions-table.ts';
import { isHarmless, noteComputation, noteFunction, statisticsViewOf } from './note-function.ts';
import { resolveFunction } from './resolve-function.ts';
import { isSequenceCall, noteSequenceCall } from './sequence-calls.ts';

export interface Call {
  /** Names as written, schema first. */
  readonly names: readonly string[];
  readonly args: readonly Lineage[];
  readonly location: number | undefined;
  /** Arguments that come out as they are, or are counted: nothing is computed of them. */
  readonly carried?: ReadonlySet<Lineage>;
  /** They stand beside each other in what comes out. */
  readonly isApart?: boolean;
  /** The call in the tree: the rows that it makes. */
  readonly node?: FieldsOf<'FuncCall'>;
  /** It stands in a definition: a default that draws from a sequence draws when rows are inserted. */
  readonly isDefined?: true;
}

export interface CallResult {
  readonly lineage: Lineage;
  /** The functions that it can mean; empty when there is none of that name. */
  readonly functions: readonly CatalogFunction[];
}

/** @returns undefined when no function of that name takes so many arguments. */
export function callFunction(facts: StatementFacts, call: Call): CallResult | undefined {
  const { candidates, name } = findFunctions(facts, call.names, call.args.length);
  const by = `function ${name}()`;
  if (!call.isApart) facts.combine(call.args);
  refuseUnsettledCode(facts, name, call.location);
  const noteArguments = (carried?: ReadonlySet<Lineage>): void => {
    for (const argument of call.args) {
      if (!carried?.has(argument)) facts.noteComputed(argument, by);
    }
  };
  if (candidates.length === 0) {
    noteArguments(call.carried);
    return undefined;
  }
  const isTrusted = (one: CatalogFunction): boolean => isBuiltIn(one) || isHarmless(facts, one);
  const { possible: fitting, isExact } = resolveFunction(facts, call, candidates);
  // Where nothing fits, the server says so; only a rule may tell that there is one of that name.
  const likely = fitting.length > 0 ? fitting.map(({ called }) => called) : candidates;
  const trusted = likely.filter(isTrusted);
  const own =
    fitting.length === 0 && trusted.length > 0 ? [] : likely.filter((one) => !isTrusted(one));
  const foreign = own.filter((one) => !computes(facts, one));
  if (!isExact) noteTypeOfName(facts, call);
  // What the built-in one only carries, a function of its name may do anything with.
  noteArguments(own.length === 0 ? call.carried : undefined);
  for (const candidate of own) {
    if (!foreign.includes(candidate)) noteComputation(facts, candidate);
  }
  for (const candidate of foreign) {
    noteUserFunction(facts, candidate, call.location);
  }
  for (const candidate of likely) noteGivenCode(facts, candidate, call.node?.args);
  const builtIn = likely.filter(isBuiltIn);
  if (foreign.length === 0) {
    noteTrusted(facts, trusted, builtIn);
  }
  if (builtIn.length > 0) {
    if (isSequenceCall(name) && !(call.isDefined && name === 'nextval')) {
      noteSequenceCall(facts, name, call.node?.args, call.location);
    }
    applyEffect(facts, name, call, builtIn);
  } else if (keepsArguments(name)) {
    for (const argument of call.args) facts.noteStored(argument);
  }
  const possible = own.length > 0 ? likely : trusted;
  if (foreign.length === 0) {
    for (const [index, argument] of call.args.entries()) {
      for (const { takes } of fitting) notePassed(facts, argument, takes[index]);
    }
  }
  // How many rows unnest() makes of an array of rows says nothing of what is in these.
  const ofRows = name === 'unnest' && call.args[0]?.fields !== undefined;
  const makesRows = possible.some((candidate) => candidate.returnsSet);
  if (makesRows && !ofRows) {
    facts.noteShaping(derive(call.args));
  }
  const lineage =
    statistics(facts, own.length > 0 ? [] : possible) ??
    resultOf(
      facts,
      name,
      call.args,
      fitting.length > 0
        ? fitting
        : possible.map((called) => ({ called, takes: called.argTypeOids })),
    );
  // One of its own can give back the very value that it gets.
  if (own.length === 0 && possible.every((one) => one.returnTypeOid === TYPE.bool)) {
    return { lineage: facts.test(call.args, by, TYPE.bool), functions: possible };
  }
  // What it is compared with it can show: in a target list as in FROM.
  const rows = makesRows ? [facts.rows(call.node ?? call, isCounting(name))] : [];
  return { lineage: withOrigins(lineage, rows), functions: possible };
}

/** `lower('x')` is a cast where a type is called so and no function takes exactly that. */
function noteTypeOfName(facts: StatementFacts, { names, args, node }: Call): void {
  if (args.length !== 1 || !node) return;
  const type = typeNamed(facts, names, names.at(-1) ?? '');
  if (type && !isBuiltIn(type)) findType(facts, { names: node.funcname ?? [] });
}

function statistics(
  facts: StatementFacts,
  [called]: readonly CatalogFunction[],
): Lineage | undefined {
  const view = called && statisticsViewOf(called, facts.context.catalog);
  return view && statisticsRows(facts, called, view);
}

/** Functions that make as many rows as a number says. */
const COUNTING: ReadonlySet<string> = new Set(['generate_series', 'generate_subscripts']);

export function isCounting(name: string): boolean {
  return COUNTING.has(name);
}

/** By the catalog of now: names in its body may not mean the same after DDL. */
function computes({ context }: StatementFacts, candidate: CatalogFunction): boolean {
  return candidate.calls !== undefined && context.unsettled === undefined;
}

function noteUserFunction(
  facts: StatementFacts,
  candidate: CatalogFunction,
  location: number | undefined,
): void {
  facts.runsUserCode = true;
  noteFunction(facts, candidate, false);
  const reach = extensionReach(candidate.extension);
  if (reach !== undefined) {
    facts.serverAccess.add(`${candidate.name}() (${reach})`);
  }
  facts.refuse(
    `function ${candidate.schema}.${candidate.name} is not built in, and what it reads cannot be seen from here`,
    {
      hint: 'Write the query it runs instead of calling it.',
      location,
      because: { schema: candidate.schema, function: candidate.name },
      ...(candidate.calls ? { unsettled: true } : {}),
    },
  );
}

function noteTrusted(
  facts: StatementFacts,
  trusted: readonly CatalogFunction[],
  builtIn: readonly CatalogFunction[],
): void {
  const [used] = builtIn.length > 0 ? builtIn : trusted;
  if (used) {
    noteFunction(facts, used, builtIn.length > 0);
  }
}

function applyEffect(
  facts: StatementFacts,
  name: string,
  call: Call,
  builtIn: readonly CatalogFunction[],
): void {
  const volatility = builtIn.some((candidate) => candidate.volatility === 'v') ? 'v' : 's';
  const effect = builtInEffect(name, call.args.length, volatility);
  switch (effect.kind) {
    case 'pure':
      return;
    case 'stores':
      for (const argument of call.args) {
        facts.noteStored(argument);
      }
      return;
    case 'waits':
      facts.noteShaping(derive(call.args));
      return;
    case 'hidden':
      facts.refuse(`${name}() ${effect.reason}`, {
        hint: effect.hint,
        location: call.location,
        because: { schema: 'pg_catalog', function: name },
      });
      return;
    case 'server':
      facts.serverAccess.add(effect.what);
      facts.refuse(`${effect.what} is not a query`, {
        location: call.location,
        because: { schema: 'pg_catalog', function: name },
      });
      return;
  }
}

/**
 * The views of pg_stat_statements read functions of that extension, in C. What these return is known
 * all the same: numbers about statements, and their texts, which are masked (system-relations.ts).
 * Called by itself such a function needs what reading its view needs.
 */
function statisticsRows(
  facts: StatementFacts,
  called: CatalogFunction,
  view: CatalogRelation,
): Lineage {
  if (!facts.view) facts.noteRelation(view);
  const fields = (called.outputs ?? []).map(({ name, typeOid }) => {
    const column = columnByName(view, name);
    if (!column) return { name, lineage: constant(typeOid) };
    const origin = facts.column(view, column.attnum, name);
    const origins = new Set([origin]);
    return { name, lineage: { ...constant(typeOid), origins, identity: origin } };
  });
  return derive(
    fields.map(({ lineage }) => lineage),
    called.returnTypeOid,
    fields,
  );
}
