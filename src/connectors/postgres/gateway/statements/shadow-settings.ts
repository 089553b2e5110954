/**
 * Settings and transaction state as the target has confirmed them, and what is in doubt. The
 * server reports client_encoding and standard_conforming_strings, but only with the next
 * ReadyForQuery; search_path (before 18) and the role it never reports. What cannot be known is
 * asked for (probe.ts); until then nothing may depend on it.
 */
import type { ChangeScope, ProtocolEffect } from '../../policy/facts/analysis-types.ts';
import type { Catalog } from '../../policy/facts/catalog-types.ts';
import { mayDisturb } from '../../policy/triggers/may-disturb.ts';
import type { TransactionStatus } from '../../protocol/backend-messages.ts';
import { widerScope } from '../catalog/catalog-marks.ts';
import type { SeenCatalog } from '../types.ts';
import { type ClientEncoding, clientEncoding } from '../wire/client-encoding.ts';
import { TextConversion } from '../wire/text-conversion.ts';
import type { Place } from './known-statement.ts';
import { NamedSettings } from './value-settings.ts';

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
  /** What the client has set that changes what values stand for. */
  readonly named = new NamedSettings();
  /** What the server makes of texts that it sends. */
  readonly conversion: TextConversion;
  /** What the client calls itself. */
  applicationName: string;
  /** undefined: not known. */
  #place: Place | undefined;
  /** Something in this transaction moved the place: its end may move it back. */
  #placeMoved = false;
  /** DDL or user code ran in this transaction: the catalog that the gateway read is not what it sees. */
  #changed: ChangeScope | undefined;
  /** Of that, more than temporary tables of this session. */
  #concernsOthers = false;
  /** What it sees since the last of that; undefined: not asked. */
  #ownCatalog: SeenCatalog | undefined;
  #ranReadCode = false;
  /** The catalog must be looked at again before a verdict rests on it. */
  catalogStale: ChangeScope | undefined;
  /** User code may have made, dropped or replaced SQL-level names. */
  namesInDoubt = false;
  /**
   * Segment in which something was sent that may change how text is read. The target reports such
   * a change with the ReadyForQuery of that segment, and not before.
   */
  parserDoubt: number | undefined;

  /** Counts what makes a verdict void that was reached while names were uncertain. */
  touches = 0;
  readonly #onChange: (scope: ChangeScope) => void;

  /** @param onChange told when a transaction has ended that may have changed the catalog. */
  constructor(
    parameters: ReadonlyMap<string, string>,
    onChange: (scope: ChangeScope) => void = () => undefined,
  ) {
    this.#onChange = onChange;
    this.encoding = clientEncoding(parameters.get('client_encoding') ?? 'UTF8');
    this.conversion = new TextConversion(parameters);
    this.standardStrings = parameters.get('standard_conforming_strings') !== 'off';
    this.applicationName = parameters.get('application_name') ?? '';
  }

  get placeMoved(): boolean {
    return this.#placeMoved;
  }

  get place(): Place | undefined {
    return this.#place;
  }

  /** The catalog may not show what names mean in this transaction. */
  get unsettled(): ChangeScope | undefined {
    return this.#ownCatalog === undefined ? this.#changed : undefined;
  }

  /** Whether a verdict of then still rests on the same names. */
  isCertain(touches: number): boolean {
    const isUncertain = this.unsettled !== undefined || this.catalogStale !== undefined;
    return !isUncertain || this.touches === touches;
  }

  /** What this transaction has changed so far. */
  get changed(): ChangeScope | undefined {
    return this.#changed;
  }

  learned(place: Place): void {
    this.#place = place;
  }

  learnedCatalog(seen: SeenCatalog): void {
    this.#ownCatalog = seen;
  }

  /** @param generation of the catalog that everyone sees: own changes are known on top of that one. */
  ownCatalog(generation: number): Catalog | undefined {
    if (this.#ownCatalog?.basedOn !== generation) this.#ownCatalog = undefined;
    return this.#ownCatalog?.catalog;
  }

  /** The connection is over: what became of its transaction nobody tells. */
  end(): void {
    if (this.#changed !== undefined && this.#concernsOthers) this.#onChange(this.#changed);
  }

  /** Triggers ran since the last change of the catalog because of what was read of them. */
  get ranReadCode(): boolean {
    return this.#ranReadCode;
  }

  /** What ran may have been another function already than the one that was read. */
  doubtReadCode(): void {
    this.#ranReadCode = false;
    this.#place = undefined;
    this.namesInDoubt = true;
  }

  /** Schemas came or went: which of the search_path exist must be asked again. */
  forgetPlace(): void {
    this.#place = undefined;
  }

  reported(name: string, value: string): void {
    if (name === 'client_encoding') {
      this.encoding = clientEncoding(value);
      this.conversion.reported(value);
    }
    if (name === 'standard_conforming_strings') this.standardStrings = value !== 'off';
    if (name === 'application_name') this.applicationName = value;
  }

  /** Whether a statement with this effect puts something in doubt for those that follow it. */
  disturbs(effect: ProtocolEffect): boolean {
    return (
      this.#movesPlace(effect) ||
      effect.prepare !== undefined ||
      effect.deallocate !== undefined ||
      effect.declareCursor !== undefined ||
      effect.closeCursor !== undefined ||
      (this.#placeMoved && endsTransaction(effect))
    );
  }

  /** A statement is sent: what it may do even if it fails or is never answered. */
  sent(effect: ProtocolEffect, segment: number): void {
    const isOwn = this.#isOwn(effect);
    if (this.#movesPlace(effect)) this.#placeMoved = true;
    this.conversion.sent(effect, segment);
    for (const { name } of effect.settings ?? []) this.named.add(name);
    const isDisturbed = mayDisturb(effect);
    if (effect.codeIsRead) this.#ranReadCode = true;
    if (effect.changesCatalog || isDisturbed) {
      const isNarrow = (effect.changes === 'relations' || isOwn) && !isDisturbed;
      this.#concernsOthers ||= !isOwn;
      this.#changed = isNarrow ? (this.#changed ?? 'relations') : 'all';
      this.#forgetCatalog();
    }
    // What was made may go again, and triggers that were put off run now.
    if (endsTransaction(effect)) this.#forgetCatalog();
    if (isDisturbed) {
      // Prepared statements outlive the error that rolls everything else back.
      this.namesInDoubt = true;
    }
    if (isDisturbed || effect.settings?.some(({ name }) => PARSER_SETTINGS.has(name))) {
      this.parserDoubt = segment;
    }
  }

  /** A statement has ended, well or not. */
  ended(effect: ProtocolEffect, failed: boolean): void {
    if (this.#movesPlace(effect) && !failed) this.#place = undefined;
    if (this.#placeMoved && endsTransaction(effect)) this.#place = undefined;
    // Told only by the next ReadyForQuery, but what follows in the pipeline runs again.
    if (!failed && this.transaction === 'failed' && endsTransaction(effect)) {
      this.transaction = 'transaction';
    }
  }

  ready(status: TransactionStatus, segment: number, nothingPending: boolean): void {
    this.transaction = status;
    if (this.parserDoubt !== undefined && this.parserDoubt <= segment) this.parserDoubt = undefined;
    this.conversion.ready(segment);
    if (status !== 'idle') return;
    // The end of a transaction, an implicit one too, takes back what SET LOCAL did.
    if (this.#placeMoved) this.#place = undefined;
    if (this.#changed !== undefined) {
      this.catalogStale = widerScope(this.catalogStale, this.#changed);
      if (this.#concernsOthers) this.#onChange(this.#changed);
      this.#forgetCatalog();
    }
    if (!nothingPending) return;
    this.#placeMoved = false;
    this.#changed = undefined;
    this.#concernsOthers = false;
  }

  #movesPlace(effect: ProtocolEffect): boolean {
    return (
      mayDisturb(effect) ||
      (effect.changesCatalog && effect.changes !== 'relations' && !this.#isOwn(effect)) ||
      (effect.settings?.some(({ name }) => PLACE_SETTINGS.has(name)) ?? false)
    );
  }

  /**
   * It makes relations in a temporary schema that was there before the transaction, which ROLLBACK
   * leaves there: no other session can read them, and the search_path has had that schema before.
   */
  #isOwn(effect: ProtocolEffect): boolean {
    const isThere = !this.#placeMoved && this.#place?.hasTemporary === true;
    return effect.changes === 'temporary' && !mayDisturb(effect) && isThere;
  }

  #forgetCatalog(): void {
    this.#ownCatalog = undefined;
    this.touches += 1;
  }
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
