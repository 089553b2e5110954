/** From "no" to the denial that the client gets, with what the record must know of it before. */

import type { SqlRefusal } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { tellRefused, tellWithheld } from '../audit/statement-audit.ts';
import { type Decided, refusedVerdict } from '../statements/decide.ts';
import type { Run } from '../statements/run.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { type NativeError, toErrorResponse } from '../wire/to-error-response.ts';
import { tooLargeStatement } from '../wire/too-large.ts';
import { createDenial, type Denial } from './denial.ts';

/** In the server's words: nothing can be checked in a failed transaction, and nothing would run. */
const ABORTED: NativeError = {
  sqlState: SQL_STATE.inFailedTransaction,
  message: 'current transaction is aborted, commands ignored until end of transaction block',
};

/** Word for word what the server says to a cancel. */
const CANCELLED: NativeError = {
  sqlState: SQL_STATE.queryCanceled,
  message: 'canceling statement due to user request',
};

export class Refusals {
  readonly #state: StreamState;

  constructor(state: StreamState) {
    this.#state = state;
  }

  /** @param text of the statement, for what its comments say; empty where it is not at hand. */
  denial(
    at: number,
    decided: Decided & { type: 'refused' | 'aborted' | 'cancelled' },
    text = '',
  ): Denial {
    if (decided.type === 'aborted') return this.native(ABORTED);
    if (decided.type === 'cancelled') return this.native(CANCELLED);
    tellRefused(this.#state.options, at, decided.verdict, text);
    return this.#create(decided.verdict.refusal);
  }

  /** Its statement was allowed, and turned out to be another one before it was sent. */
  withheld(run: Run, refusal: SqlRefusal): Denial {
    tellWithheld(this.#state.options, run, refusal);
    return this.#create(refusal);
  }

  /** An error that the server itself would give; it is no decision of the policy. */
  native(error: NativeError): Denial {
    return this.#create(error);
  }

  /** The target refuses the message in its own words, which pass as they are. */
  byTarget(): Denial {
    return createDenial(new Uint8Array(0));
  }

  /** Text that is none in the encoding of the connection. */
  undecodable(): Denial {
    const { name } = this.#state.settings.encoding;
    return this.native({
      sqlState: SQL_STATE.characterNotInRepertoire,
      message: `invalid byte sequence for encoding "${name}"`,
    });
  }

  /** @param bodyLength bytes. */
  tooLarge(at: number, bodyLength: number): Denial {
    const refusal = tooLargeStatement(bodyLength, this.#state.options.target.maxMessageBytes);
    return this.denial(at, { type: 'refused', verdict: refusedVerdict(refusal) });
  }

  /** An approver must see the values, and these are not kept. */
  tooLargeToShow(at: number): Denial {
    return this.#tooLargeValues(at, {
      message: 'values are too large to be shown for an approval',
      detail: 'The statement needs an approval, and the approver must see its values.',
    });
  }

  tooLargeForSettings(at: number): Denial {
    return this.#tooLargeValues(at, {
      message: 'values of set_config() are too large',
      detail: 'They decide which setting the statement changes, so hoop must read them.',
    });
  }

  #tooLargeValues(at: number, text: Pick<SqlRefusal, 'message' | 'detail'>): Denial {
    const refusal = sqlRefusal(
      { ...text, code: 'HOOP_TOO_LARGE', hint: 'Send smaller values.' },
      SQL_STATE.programLimitExceeded,
    );
    return this.denial(at, { type: 'refused', verdict: refusedVerdict(refusal) });
  }

  functionCall(at: number): Denial {
    const refusal = sqlRefusal({
      code: 'HOOP_MESSAGE_REFUSED',
      message: 'function call message is not allowed',
      detail: 'The fast path calls functions by number and bypasses the rules for statements.',
      hint: 'Call the function with SELECT.',
    });
    return this.denial(at, { type: 'refused', verdict: refusedVerdict(refusal) });
  }

  #create(problem: SqlRefusal | NativeError): Denial {
    return createDenial(toErrorResponse(problem, this.#state.saying));
  }
}
