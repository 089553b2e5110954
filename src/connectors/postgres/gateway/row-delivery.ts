/** The way of rows: which pass, which are rewritten, and where a result is cut off. */
import { ProtocolError } from '../../../errors.ts';
import { withoutHits } from '../../../masking/detect-text.ts';
import type { DetectorName, Grant } from '../../../policy/types.ts';
import { sqlRefusal } from '../policy/evaluate-refusal.ts';
import type { SqlRefusal } from '../policy/types.ts';
import {
  COPY_RESPONSE,
  encodeRowDescription,
  type FieldDescription,
} from '../protocol/backend-messages.ts';
import type { Handling } from '../protocol/message-scanner.ts';
import { BACKEND } from '../protocol/message-types.ts';
import { BYTES } from '../protocol/text-codec.ts';
import { SQL_STATE } from '../sql-state.ts';
import { runOf } from './confirmations.ts';
import { beginCopy } from './copy-out.ts';
import { maskedWarning } from './copy-refusals.ts';
import type { DescribeEntry, Entry, QueryEntry } from './pending-queue.ts';
import { describeResult } from './results.ts';
import { type Run, rowsLeft } from './run.ts';
import { tellWithheld } from './statement-audit.ts';
import type { StreamState } from './stream-state.ts';
import { toErrorResponse } from './to-error-response.ts';

export class RowDelivery {
  readonly #state: StreamState;

  constructor(state: StreamState) {
    this.#state = state;
  }

  /** At the header of a DataRow. Rows that pass are counted here, since they are not seen again. */
  decide(entry: Entry | undefined): Handling {
    const run = runOf(entry);
    if (run === undefined || rowsLeft(run) <= 0 || run.trial !== undefined) return 'whole';
    if (run.rowsAre === 'mask') return 'run';
    if (run.rowsAre !== 'pass') return 'whole';
    run.rows += 1;
    return 'pass';
  }

  /** At the header of a CopyData. */
  decideCopy(entry: Entry | undefined): Handling {
    const run = runOf(entry);
    if (run?.rowsAre === 'pass') return 'pass';
    return run?.copy === undefined ? 'whole' : 'run';
  }

  /**
   * @param bytes of a chunk, whose first message is a row or data of a COPY that is to be masked.
   * @returns bytes that are done with; 0: the first message is no ordinary one.
   */
  deliverRun(bytes: Uint8Array, entry: Entry | undefined): number {
    const run = runOf(entry);
    if (run === undefined) return 0;
    const done =
      bytes[0] === BACKEND.CopyData
        ? run.copy?.rewriteRows(bytes, 0)
        : run.masker?.rewriteRows(bytes, 0, rowsLeft(run));
    if (done === undefined) return 0;
    run.rows += done.rows;
    for (const piece of done.pieces) {
      run.bytes += piece.length;
      this.#state.toClient.push(piece);
    }
    return done.end;
  }

  /**
   * @param message a whole DataRow message.
   * @returns what the client gets in its place.
   */
  deliver(message: Uint8Array, entry: Entry | undefined): Uint8Array | undefined {
    if (entry?.kind === 'execute' && entry.onRow !== undefined) {
      entry.onRow(message);
      return undefined;
    }
    const run = runOf(entry);
    if (run === undefined) throw new ProtocolError('the target sent a row where none was due');
    if (rowsLeft(run) <= 0)
      return this.#withhold(run, limitReached(this.#state.options.grant()), entry);
    const refusal = run.rowsAre === 'unknown' ? this.#describe(run) : undefined;
    if (refusal !== undefined) return this.#withhold(run, refusal, entry);
    run.rows += 1;
    const row = run.masker?.rewrite(message) ?? message;
    if (run.trial === undefined) {
      run.bytes += row.length;
      return row;
    }
    run.trial.keep(row);
    return undefined;
  }

  /**
   * A RowDescription has come.
   * @returns an error in its place, if the result must be withheld.
   */
  described(
    entry: DescribeEntry | QueryEntry,
    fields: readonly FieldDescription[],
  ): Uint8Array | undefined {
    if (entry.kind === 'describe') {
      entry.onFields?.(fields);
      if (entry.portal !== undefined) entry.portal.described = fields;
      if (entry.statement !== undefined && !entry.statement.shapeIsChecked) {
        entry.statement.shape = fields;
      }
      return undefined;
    }
    const run = runOf(entry);
    if (run === undefined) throw new ProtocolError('the target sent a result where none was due');
    if (run.rowsAre === 'pass' || this.#state.withholding) return undefined;
    const refusal = this.#check(run, fields, undefined);
    return refusal === undefined ? undefined : this.#withhold(run, refusal, entry);
  }

  /**
   * CopyOutResponse has come.
   * @returns an error in its place, if the data must be withheld.
   */
  copyBegins(run: Run, body: Uint8Array, entry: Entry | undefined): Uint8Array | undefined {
    const { options, codec, notices, toClient } = this.#state;
    const response = COPY_RESPONSE.CopyOutResponse.decode(body);
    const refusal = beginCopy({
      run,
      response,
      grant: options.grant(),
      hashKey: options.maskKey.expose(),
      codec,
      maxRows: rowsLeft(run),
      maxRowBytes: options.target.maxMessageBytes,
    });
    if (refusal !== undefined) return this.#withhold(run, refusal, entry);
    const { allowed } = run.statement;
    if (run.copy && allowed && notices.isOn) {
      const warning = maskedWarning(allowed, codec);
      if (warning !== undefined) toClient.push(warning);
    }
    return undefined;
  }

  /** @param message a whole CopyData message. @returns what the client gets in its place. */
  deliverCopy(message: Uint8Array, entry: Entry | undefined): Uint8Array | undefined {
    const run = runOf(entry);
    if (run?.copy === undefined) {
      throw new ProtocolError('the target sent data of a COPY where none was due');
    }
    const rewritten = run.copy.rewrite(message);
    run.rows = run.copy.rows;
    run.bytes += rewritten?.length ?? 0;
    if (!run.copy.isOverLimit) return rewritten;
    if (rewritten !== undefined) this.#state.toClient.push(rewritten);
    return this.#withhold(run, limitReached(this.#state.options.grant()), entry);
  }

  /** A name made from data is data too: `CREATE VIEW … AS %I`. */
  cleanNames(
    fields: readonly FieldDescription[],
    detectors: readonly DetectorName[],
  ): Uint8Array | undefined {
    if (detectors.length === 0) return undefined;
    const names = new Set(detectors);
    let changed = false;
    const clean = fields.map((field) => {
      const name = withoutHits(field.name, names, new Map());
      if (name === undefined) return field;
      changed = true;
      return { ...field, name };
    });
    return changed ? encodeRowDescription({ fields: clean }, BYTES) : undefined;
  }

  /** The first row of an Execute: its portal or statement has been described before. */
  #describe(run: Run): SqlRefusal | undefined {
    const { portal, statement } = run;
    const fields = portal?.described ?? statement.shape;
    if (fields === undefined)
      throw new ProtocolError('the target sent rows that nothing describes');
    return this.#check(run, fields, portal?.described === undefined ? portal?.formats : undefined);
  }

  #check(
    run: Run,
    fields: readonly FieldDescription[],
    formats: readonly number[] | undefined,
  ): SqlRefusal | undefined {
    const refusal = describeResult({
      run,
      grant: this.#state.options.grant(),
      fields,
      formats,
      hashKey: this.#state.options.maskKey.expose(),
      codec: this.#state.codec,
    });
    const { allowed } = run.statement;
    if (refusal === undefined && allowed !== undefined) {
      const notice = this.#state.notices.about(allowed, this.#state.codec);
      if (notice !== undefined) this.#state.toClient.push(notice);
    }
    return refusal;
  }

  /** The rest of the segment stays here: the client has got the error that it expects no more after. */
  #withhold(run: Run, refusal: SqlRefusal, entry: Entry | undefined): Uint8Array {
    const state = this.#state;
    tellWithheld(state.options, run, refusal);
    state.withholding = true;
    // The lineage was made from a catalog that is out of date.
    state.settings.catalogStale = 'all';
    if (entry?.kind === 'execute' && entry.segment === state.segment) state.skipping = true;
    if (refusal.code === 'HOOP_LIMIT') state.cancels.stopRunning(entry);
    return toErrorResponse(refusal, state.saying);
  }
}

function limitReached({ limits }: Grant): SqlRefusal {
  const maxRows = limits.maxRows ?? 0;
  return sqlRefusal(
    {
      code: 'HOOP_LIMIT',
      message: `result has more than ${maxRows} rows`,
      detail: `The policy lets one statement return ${maxRows} rows. What follows is withheld.`,
      hint: 'Narrow the statement, or add LIMIT.',
    },
    SQL_STATE.programLimitExceeded,
  );
}
