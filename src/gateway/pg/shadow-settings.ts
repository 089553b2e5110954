/**
 * Settings and transaction state as the target has confirmed them, and what is in doubt. The
 * server reports client_encoding and standard_conforming_strings, but only with the next
 * ReadyForQuery; search_path (before 18) and the role it never reports. What cannot be known is
 * asked for (probe.ts); until then nothing may depend on it.
 */
import type { ProtocolEffect } from '../../policy/sql/types.ts';
import type { TransactionStatus } from '../../protocol/pg/ready-for-query.ts';
import { type ClientEncoding, clientEncoding } from './client-encoding.ts';
import type { Place } from './known-statement.ts';

/** Settings that say where names are looked up. `*`: one whose name is computed. */
const PLACE_SETTINGS = new Set(['search_path', 'role', 'session_authorization', 'all', '*']);
/** Settings that say how text is read. */
const PARSER_SETTINGS = new Set([
  'client_encoding',
  'names',
  'standard_conforming_strings',
  'backslash_quote',
  'escape_string_warning',
  'all',
  '*',
]);

export class ShadowSettings {
  transaction: TransactionStatus = 'idle';
  encoding: ClientEncoding;
  standardStrings: boolean;
  /** undefined: not known. */
  #place: Place | undefined;
  /** Something in this transaction moved the place: its end may move it back. */
  #placeMoved = false;
  /** DDL or user code ran in this transaction: the catalog the gateway read is not what it sees. */
  #catalogTouched = false;
  /** FINGERPRINT as this connection sees it, since the last of that; undefined: not asked. */
  #ownCatalog: string | undefined;
  /** The catalog must be read again before the next verdict. */
  catalogStale = false;
  /** User code may have made, dropped or replaced SQL-level names. */
  namesInDoubt = false;
  /**
   * Segment in which something was sent that may change how text is read. The target reports such
   * a change with the ReadyForQuery of that segment, and not before.
   */
  parserDoubt: number | undefined;

  constructor(parameters: ReadonlyMap<string, string>) {
    this.encoding = clientEncoding(parameters.get('client_encoding') ?? 'UTF8');
    this.standardStrings = parameters.get('standard_conforming_strings') !== 'off';
  }

  get placeMoved(): boolean {
    return this.#placeMoved;
  }

  get place(): Place | undefined {
    return this.#place;
  }

  /** The catalog may not show what names mean in this transaction. */
  get unsettled(): boolean {
    return this.#catalogTouched;
  }

  learned(place: Place, ownCatalog: string | undefined): void {
    this.#place = place;
    this.#ownCatalog = ownCatalog;
  }

  get ownCatalog(): string | undefined {
    return this.#ownCatalog;
  }

  /** What ran in this transaction, such as a trigger, has changed nothing in the catalog. */
  catalogIsUntouched(): void {
    this.#catalogTouched = false;
  }

  /** Schemas came or went: which of the search_path exist must be asked again. */
  forgetPlace(): void {
    this.#place = undefined;
  }

  reported(name: string, value: string): void {
    if (name === 'client_encoding') this.encoding = clientEncoding(value);
    if (name === 'standard_conforming_strings') this.standardStrings = value !== 'off';
  }

  /** Whether a statement with this effect puts something in doubt for those that follow it. */
  disturbs(effect: ProtocolEffect): boolean {
    return (
      movesPlace(effect) ||
      effect.prepare !== undefined ||
      effect.deallocate !== undefined ||
      effect.declareCursor !== undefined ||
      effect.closeCursor !== undefined ||
      (this.#placeMoved && endsTransaction(effect))
    );
  }

  /** A statement is sent: what it may do even if it fails or is never answered. */
  sent(effect: ProtocolEffect, segment: number): void {
    if (movesPlace(effect)) this.#placeMoved = true;
    if (effect.changesCatalog || effect.runsUserCode) {
      this.#catalogTouched = true;
      this.#ownCatalog = undefined;
    }
    if (effect.runsUserCode) {
      // Prepared statements outlive the error that rolls everything else back.
      this.namesInDoubt = true;
    }
    if (effect.runsUserCode || effect.settings?.some(({ name }) => PARSER_SETTINGS.has(name))) {
      this.parserDoubt = segment;
    }
  }

  /** A statement has ended, well or not. */
  ended(effect: ProtocolEffect, failed: boolean): void {
    if (movesPlace(effect) && !failed) this.#place = undefined;
    if (this.#placeMoved && endsTransaction(effect)) this.#place = undefined;
    // Told only by the next ReadyForQuery, but what follows in the pipeline runs again.
    if (!failed && this.transaction === 'failed' && endsTransaction(effect)) {
      this.transaction = 'transaction';
    }
  }

  ready(status: TransactionStatus, segment: number, nothingPending: boolean): void {
    this.transaction = status;
    if (this.parserDoubt !== undefined && this.parserDoubt <= segment) this.parserDoubt = undefined;
    if (status !== 'idle') return;
    // The end of a transaction, an implicit one too, takes back what SET LOCAL did.
    if (this.#placeMoved) this.#place = undefined;
    if (!nothingPending) return;
    if (this.#catalogTouched) this.catalogStale = true;
    this.#placeMoved = false;
    this.#catalogTouched = false;
  }
}

function movesPlace(effect: ProtocolEffect): boolean {
  return (
    effect.runsUserCode ||
    effect.changesCatalog ||
    (effect.settings?.some(({ name }) => PLACE_SETTINGS.has(name)) ?? false)
  );
}

function endsTransaction(effect: ProtocolEffect): boolean {
  const { transaction } = effect;
  return (
    transaction === 'commit' ||
    transaction === 'rollback' ||
    transaction === 'rollback to' ||
    transaction === 'prepare'
  );
}
