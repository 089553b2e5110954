/**
 * The server converts the texts of rows to client_encoding, before any mask. It fails at the first
 * character that this encoding does not have, so the error would tell what a masked value holds.
 * Masked values are therefore sent only where nothing is converted that can fail: to UTF8, which has
 * them all, to SQL_ASCII, which takes bytes as they are, and to the encoding of the database.
 */
import type { ProtocolEffect } from '../../policy/facts/analysis-types.ts';
import { settingEffect } from '../../policy/facts/settings-table.ts';
import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { encodingKey } from '../../protocol/encoding-labels.ts';

const COMPLETE: ReadonlySet<string> = new Set(['utf8', 'unicode', 'sqlascii']);

/** What is known of client_encoding on one connection, and when it is known. */
export class TextConversion {
  readonly #server: string;
  readonly #initial: string;
  #current: string;
  /** Such an encoding has been or can be in force: the end of a transaction can bring it back. */
  #isPossible: boolean;
  /** Segment in which it may have changed. The server reports that with ReadyForQuery. */
  #unreported: number | undefined;

  /** @param parameters as the server reported them when the connection began. */
  constructor(parameters: ReadonlyMap<string, string>) {
    this.#server = encodingKey(parameters.get('server_encoding') ?? '');
    this.#initial = parameters.get('client_encoding') ?? 'UTF8';
    this.#current = this.#initial;
    this.#isPossible = this.#canFail(this.#initial);
  }

  reported(encoding: string): void {
    this.#current = encoding;
    this.#isPossible ||= this.#canFail(encoding);
  }

  sent(effect: ProtocolEffect, segment: number): void {
    const changes = this.#mayBegin(effect);
    this.#isPossible ||= changes;
    if (this.#isPossible && (changes || isChanging(effect))) this.#unreported = segment;
  }

  ready(segment: number): void {
    if (this.#unreported !== undefined && this.#unreported <= segment) this.#unreported = undefined;
  }

  /** @returns why statements that show masked values must not run now, in one text. */
  refuse(statements: readonly AllowedStatement[]): SqlRefusal | undefined {
    if (!statements.some(showsMasked)) return undefined;
    if (this.#unreported === undefined && this.#canFail(this.#current)) {
      return converted(this.#current);
    }
    const effects = statements.map(({ analysis }) => analysis.protocol);
    const isOpen = effects.some((effect) => this.#mayBegin(effect));
    const canReturn = statements.length > 1 && this.#isPossible && effects.some(isChanging);
    return isOpen || canReturn || this.#unreported !== undefined ? inDoubt() : undefined;
  }

  #mayBegin({ settings = [] }: ProtocolEffect): boolean {
    return settings.some(({ name, value, reset }) => {
      if (name === '*') return true;
      if (name !== 'all' && settingEffect(name) !== 'encoding') return false;
      const next = reset === true ? this.#initial : value;
      return next === undefined || this.#canFail(next);
    });
  }

  #canFail(encoding: string): boolean {
    const key = encodingKey(encoding);
    return !COMPLETE.has(key) && this.#server !== 'sqlascii' && key !== this.#server;
  }
}

/** In rows, or in what the server says of a row that a write must not have: "Failing row contains (…)". */
function showsMasked({ masks, redactErrors, analysis }: AllowedStatement): boolean {
  const isTold = redactErrors && analysis.writes.length > 0;
  return isTold || (masks?.some((mask) => mask !== undefined) ?? false);
}

/** The end of a transaction takes settings back. */
function isChanging({ settings = [], transaction }: ProtocolEffect): boolean {
  return settings.length > 0 || (transaction !== undefined && transaction !== 'begin');
}

function converted(encoding: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ENCODING',
    message: `masked columns cannot be used in client encoding ${encoding}: use UTF8`,
    detail:
      'The server converts values to this encoding before they are masked, and fails at a character that it does not have: the error would tell what a value holds.',
    hint: "Run SET client_encoding = 'UTF8', or set PGCLIENTENCODING=UTF8 before you connect.",
  });
}

function inDoubt(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ENCODING',
    message: 'masked columns cannot be used while client_encoding may be changing',
    detail:
      'An earlier statement may have changed client_encoding, and the server reports that only at the end of a text or pipeline.',
    hint: "Run SET client_encoding = 'UTF8' by itself, and send this statement after its answer.",
  });
}
