/** The worker side of large-rows.ts: one large row after the other is masked and searched. */
import { ProtocolError } from '../../../../errors.ts';
import { answerTasks } from '../../../../limited-thread.ts';
import { ColumnMasker, type ColumnMaskerOptions } from '../../masking/column-masker.ts';
import { CopyRewriter } from '../../masking/copy-rewriter.ts';
import { type CopyScannerOptions, createCopyScanner } from '../../masking/copy-scanner.ts';
import { RowMasker } from '../../masking/row-masker.ts';
import { clientEncoding } from './client-encoding.ts';
import type { LargeRowAnswer, LargeRowTask, RewrittenRow, ToldMasking } from './large-rows.ts';

class TooLarge extends Error {
  readonly rowBytes: number;

  constructor(rowBytes: number) {
    super();
    this.rowBytes = rowBytes;
  }
}

answerTasks<ToldMasking, LargeRowTask, LargeRowAnswer>((task, told) => {
  const asked = new Set<number>();
  const answer = rewritten(task, told, asked);
  // Nothing of it is used where something is not known: it is rewritten anew.
  if (asked.size > 0) {
    const { message } = task;
    return { answer: { type: 'asks', message, types: [...asked] }, transfer: [memory(message)] };
  }
  if (answer.type !== 'rewritten' || answer.message === undefined) return { answer };
  const message = alone(answer.message);
  return { answer: { ...answer, message }, transfer: [memory(message)] };
});

function rewritten(task: LargeRowTask, told: ToldMasking, asked: Set<number>): LargeRowAnswer {
  const { codec } = clientEncoding(told.encoding);
  const options: ColumnMaskerOptions = {
    ...told.options,
    isText(oid) {
      const isText = told.isText.get(oid);
      if (isText === undefined) asked.add(oid);
      return isText === true;
    },
    decode(bytes) {
      try {
        return codec.decode(bytes);
      } catch {
        // No text in client_encoding, as results.ts has it.
        return undefined;
      }
    },
  };
  try {
    return task.copy === undefined
      ? rewriteRow(task.message, options)
      : rewriteCopy(task.message, options, told.copy, task.copy);
  } catch (error) {
    if (error instanceof ProtocolError) return { type: 'malformed', problem: error.message };
    if (error instanceof TooLarge) return { type: 'too-large', rowBytes: error.rowBytes };
    throw error;
  }
}

function rewriteRow(row: Uint8Array, options: ColumnMaskerOptions): RewrittenRow {
  const masker = new RowMasker(options);
  const message = masker.rewrite(row);
  const { maskedValues, detected, seen } = masker;
  return { type: 'rewritten', message, counts: { maskedValues, detected, seen } };
}

function rewriteCopy(
  data: Uint8Array,
  options: ColumnMaskerOptions,
  format: CopyScannerOptions | undefined,
  { progress, maxRows, maxRowBytes }: NonNullable<LargeRowTask['copy']>,
): RewrittenRow {
  if (format === undefined) throw new TypeError('a COPY without its format');
  const masker = new ColumnMasker(options);
  const scanner = createCopyScanner(format);
  const tooLarge = (rowBytes: number): Error => new TooLarge(rowBytes);
  const rewriter = new CopyRewriter({ scanner, masker, maxRows, maxRowBytes, tooLarge });
  rewriter.goOn(progress);
  const message = rewriter.rewrite(data);
  const { maskedValues, detected, seen } = masker;
  const counts = { maskedValues, detected, seen };
  const { rest, ...where } = rewriter.progress;
  return { type: 'rewritten', message, counts, progress: { ...where, rest: alone(rest) } };
}

/** In memory of its own: what else is in it would go along. */
function alone(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

function memory({ buffer }: Uint8Array): ArrayBuffer {
  if (buffer instanceof ArrayBuffer) return buffer;
  throw new TypeError('memory that cannot be handed over');
}
