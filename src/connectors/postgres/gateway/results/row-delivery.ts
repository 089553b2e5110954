/** The way of rows: which pass, which are rewritten, and where a result is cut off. */
import { type ErrorCode, ProtocolError } from '../../../../errors.ts';
import { withoutHits } from '../../../../masking/detect-text.ts';
import type { DetectorName, Grant } from '../../../../policy/types.ts';
import { rowCountText } from '../../../../policy/words/describe-grant.ts';
import type { CopyRewriter } from '../../masking/copy-rewriter.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import {
  COPY_RESPONSE,
  encodeRowDescription,
  type FieldDescription,
} from '../../protocol/backend-messages.ts';
import type { Handling } from '../../protocol/message-scanner.ts';
import { BACKEND } from '../../protocol/message-types.ts';
import { BYTES } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { tellWithheld } from '../audit/statement-audit.ts';
import { runOf } from '../statements/confirmations.ts';
import type { DescribeEntry, Entry, QueryEntry } from '../statements/pending-queue.ts';
import { type Run, rowsLeft } from '../statements/run.ts';
import { LARGEST_AT_ONCE, type LargeRowTask, type RewrittenRow } from '../wire/large-rows.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { toErrorResponse } from '../wire/to-error-response.ts';
import { noThreadToMask, tooLargeToRead, tooMuchToMask } from '../wire/too-large.ts';
import { beginCopy } from './copy-out.ts';
import { maskedWarning } from './copy-refusals.ts';
import { describeResult } from './results.ts';

/** What the client gets; a promise where that is found out elsewhere. */
export type Answer = Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** With these nothing more of the result can be of use. */
const STOPS: ReadonlySet<string> = new Set<ErrorCode>(['HOOP_LIMIT', 'HOOP_TOO_LARGE']);

/**
 * Characters of all names of a result that the detectors look through. A server has 1,664 of them at
 * most, of 63 bytes; what has more is hostile.
 */
const MAX_NAMES = 256 * 1024;

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
   * @returns what the client gets in its place; a promise where that is found out elsewhere, and then
   *   what the target sends next waits for it.
   */
  deliver(message: Uint8Array, entry: Entry | undefined): Answer {
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
    const { masker } = run;
    if (masker !== undefined && message.length > LARGEST_AT_ONCE) {
      return this.#elsewhere(run, { message }, entry, ({ message: row = message, counts }) => {
        masker.add(counts);
        return keepOrShow(run, row);
      });
    }
    return keepOrShow(run, masker?.rewrite(message) ?? message);
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
      if (entry.statement !== undefined && entry.statement.shape !== fields) {
        entry.statement.shape = fields;
        entry.statement.shapeIsChecked = false;
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
      encoding: this.#state.settings.encoding.name,
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
  deliverCopy(message: Uint8Array, entry: Entry | undefined): Answer {
    const run = runOf(entry);
    const copy = run?.copy;
    if (run === undefined || copy === undefined) {
      throw new ProtocolError('the target sent data of a COPY where none was due');
    }
    if (copy.restLength + message.length <= LARGEST_AT_ONCE) {
      return this.#copied(run, copy, copy.rewrite(message), entry);
    }
    const task = {
      message,
      copy: {
        progress: copy.progress,
        // As `beginCopy` has it.
        maxRows: rowsLeft(run) + run.rows,
        maxRowBytes: this.#state.options.target.maxMessageBytes,
      },
    };
    return this.#elsewhere(run, task, entry, ({ message: data, progress, counts }) => {
      if (progress === undefined) throw new TypeError('a COPY was rewritten as a row');
      copy.goOn(progress, counts);
      return this.#copied(run, copy, data, entry);
    });
  }

  #copied(
    run: Run,
    copy: CopyRewriter,
    data: Uint8Array | undefined,
    entry: Entry | undefined,
  ): Uint8Array | undefined {
    run.rows = copy.rows;
    run.bytes += data?.length ?? 0;
    if (!copy.isOverLimit) return data;
    const error = this.#withhold(run, limitReached(this.#state.options.grant()), entry);
    return data === undefined ? error : Buffer.concat([data, error]);
  }

  /** What costs more than this thread may be kept for. */
  async #elsewhere(
    run: Run,
    task: LargeRowTask,
    entry: Entry | undefined,
    act: (rewritten: RewrittenRow) => Uint8Array | undefined,
  ): Promise<Uint8Array | undefined> {
    const state = this.#state;
    const { largeRows, owner, target } = state.options;
    const { masking } = run;
    if (masking === undefined) throw new TypeError('it is not known how its rows are masked');
    const { length } = task.message;
    const answer = await largeRows.rewrite(owner ?? state, masking, task, state.left);
    // Nobody reads it any more; that is no fault of the row.
    if (state.left.aborted || state.withholding) return undefined;
    if (answer?.type === 'rewritten') return act(answer);
    if (answer === undefined) return this.#withhold(run, tooMuchToMask(length), entry);
    if (answer.type === 'unstarted') return this.#withhold(run, noThreadToMask(), entry);
    throw tooLargeToRead(BACKEND.CopyData, answer.rowBytes, target.maxMessageBytes);
  }

  /** A name made from data is data too: `CREATE VIEW … AS %I`. */
  cleanNames(
    fields: readonly FieldDescription[],
    detectors: readonly DetectorName[],
  ): Uint8Array | undefined {
    if (detectors.length === 0) return undefined;
    const names = new Set(detectors);
    let changed = false;
    let room = MAX_NAMES;
    const clean = fields.map((field) => {
      room -= field.name.length;
      const name = room < 0 ? '[withheld]' : withoutHits(field.name, names, new Map());
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
      encoding: this.#state.settings.encoding.name,
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
    if (STOPS.has(refusal.code)) state.cancels.stopRunning(entry);
    return toErrorResponse(refusal, state.saying);
  }
}

/** @returns what the client gets now of a row that is ready. */
function keepOrShow(run: Run, row: Uint8Array): Uint8Array | undefined {
  if (run.trial !== undefined) {
    run.trial.keep(row);
    return undefined;
  }
  run.bytes += row.length;
  return row;
}

function limitReached({ limits }: Grant): SqlRefusal {
  const maxRows = limits.maxRows ?? 0;
  return sqlRefusal(
    {
      code: 'HOOP_LIMIT',
      message: `result has more than ${rowCountText(maxRows)}`,
      detail: `The policy lets one statement return ${rowCountText(maxRows)}. The rest is withheld.`,
      hint: 'Narrow the statement, or add LIMIT.',
    },
    SQL_STATE.programLimitExceeded,
  );
}
