/** Prepared statements and cursors as SQL names them, for a text that is being decided. */

import type { Catalog } from '../../policy/facts/catalog-types.ts';
import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { mayDisturb } from '../../policy/triggers/may-disturb.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { StreamState } from '../wire/stream-state.ts';
import type { NativeError } from '../wire/to-error-response.ts';
import { type KnownStatement, type Place, samePlace } from './known-statement.ts';

/** The SQL-level names that a verdict rests on. */
export interface NamesUsed {
  readonly wereUsed: boolean;
  /** Prepared statements, by name. */
  readonly found: ReadonlyMap<string, KnownStatement>;
}

/** Gives a statement a verdict of now; undefined: it would be refused now. */
export interface Renewer {
  renew(statement: KnownStatement, place: Place | undefined): Promise<KnownStatement | undefined>;
}

/**
 * SQL-level names for one verdict; notes when one was asked for that is not certain, or whose own
 * verdict rests on what has changed since.
 */
export class SqlNames implements NamesUsed {
  readonly #state: StreamState;
  readonly #catalog: Catalog;
  wereUsed = false;
  wereInDoubt = false;
  /** A name that was asked for and that the target certainly does not have. */
  #absent: { readonly reason: string; readonly error: NativeError } | undefined;
  readonly found = new Map<string, KnownStatement>();
  readonly outdated: ((decider: Renewer) => Promise<void>)[] = [];

  constructor(state: StreamState, catalog: Catalog) {
    this.#state = state;
    this.#catalog = catalog;
  }

  prepared(name: string): AllowedStatement | undefined {
    this.wereUsed = true;
    const { statements, settings } = this.#state;
    const found = statements.lookup(name, NO_SEGMENT);
    if (!this.#isCertain(found.type)) return undefined;
    if (found.type !== 'known')
      return this.#isAbsent('prepared statement', name, SQL_STATE.invalidStatementName);
    const { value } = found;
    // EXECUTE of an EXECUTE: what the inner name stands for is known only when it runs.
    if (value.usesNames) return undefined;
    const { place } = value.basis ?? {};
    const isThere = place === undefined || (settings.place && samePlace(place, settings.place));
    if (isThere && this.#holds(value)) {
      this.found.set(name, value);
      return value.allowed;
    }
    this.outdated.push(async (decider) => {
      const renewed = await decider.renew(value, undefined);
      if (renewed === undefined) statements.delete(name);
      else statements.replace(name, value, renewed);
    });
    return undefined;
  }

  cursor(name: string): AllowedStatement | undefined {
    this.wereUsed = true;
    const { portals } = this.#state;
    const found = portals.lookup(name, NO_SEGMENT);
    if (!this.#isCertain(found.type)) return undefined;
    if (found.type !== 'known') return this.#isAbsent('cursor', name, SQL_STATE.invalidCursorName);
    const { value } = found;
    if (value.statement.usesNames) return undefined;
    if (this.#holds(value.statement)) return value.statement.allowed;
    this.outdated.push(async (decider) => {
      const statement = await decider.renew(value.statement, value.statement.basis?.place);
      if (statement === undefined) portals.delete(name);
      else portals.replace(name, value, { ...value, statement });
    });
    return undefined;
  }

  /** @returns how the server says it, when the refusal is for want of a name that is not there. */
  absence({ message }: SqlRefusal): NativeError | undefined {
    return this.#absent && message.endsWith(this.#absent.reason) ? this.#absent.error : undefined;
  }

  #isAbsent(kind: 'cursor' | 'prepared statement', name: string, sqlState: string): undefined {
    const error = { sqlState, message: `${kind} "${name}" does not exist` };
    // As the policy words it: of several names one may be missing and another one denied.
    this.#absent ??= { reason: `the ${kind} ${name} is not known here`, error };
  }

  #isCertain(type: 'known' | 'absent' | 'unsettled'): boolean {
    const { isDisturbed, settings } = this.#state;
    const isCertain = type !== 'unsettled' && !isDisturbed && !settings.namesInDoubt;
    if (!isCertain) this.wereInDoubt = true;
    return isCertain;
  }

  #holds({ grantGeneration, basis }: KnownStatement): boolean {
    return (
      grantGeneration === this.#state.options.grant().generation &&
      (basis === undefined ||
        basis.usesNoNames ||
        (basis.catalog.generation === this.#catalog.generation &&
          this.#state.settings.isCertain(basis.touches)))
    );
  }
}

/** SQL runs after everything that was sent: any change under way counts as not settled. */
const NO_SEGMENT = -1;

/** Names are looked up before the text runs; a statement in it must not change what they stand for. */
export function changesNames({ analysis }: AllowedStatement): boolean {
  const { protocol } = analysis;
  return (
    protocol.prepare !== undefined ||
    protocol.deallocate !== undefined ||
    protocol.execute !== undefined ||
    protocol.declareCursor !== undefined ||
    protocol.closeCursor !== undefined ||
    mayDisturb(protocol)
  );
}

export function namesInOneText(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_UNTRACEABLE',
    message: 'one text both creates and uses a name',
    detail: 'A prepared statement or cursor must be known before the text runs.',
    hint: 'Send the statements one by one.',
  });
}
