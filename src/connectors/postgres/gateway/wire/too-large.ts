/** What is said of messages that would have to be collected and are longer than may be. */
import { HoopError } from '../../../../errors.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { MORE_THREADS } from '../../policy/parse/parse-outcome.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { BACKEND } from '../../protocol/message-types.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { NoRoom } from '../statements/statement-memory.ts';

const MIB = 1024 * 1024;

/** A statement, or another message of the client. @param bodyLength bytes. */
export function tooLargeStatement(bodyLength: number, limit: number): SqlRefusal {
  return sqlRefusal(
    {
      code: 'HOOP_TOO_LARGE',
      message: 'message is too large',
      detail: `It has ${bodyLength} bytes. ${limitText('Statements are read completely before they run', limit)}`,
      hint: 'Send large values as parameters, or with COPY: their size is not limited.',
    },
    SQL_STATE.programLimitExceeded,
  );
}

/** A message of the target that has begun to arrive: nothing behind it can be read. */
export function tooLargeToRead(type: number, bodyLength: number, limit: number): HoopError {
  const isRow = type === BACKEND.DataRow || type === BACKEND.CopyData;
  return new HoopError(
    'HOOP_TOO_LARGE',
    isRow
      ? `a row of ${bodyLength} bytes is too large to be searched for protected data`
      : `a message of the target of ${bodyLength} bytes is too large to be read`,
    {
      detail: limitText(
        isRow
          ? 'Rows to which a mask or a detector applies are read completely'
          : 'It is read completely',
        limit,
      ),
      hint: 'Omit large columns from the statement, or ask the operator for a higher limit.',
    },
  );
}

/** A row that is within the limit, and costs more time or memory than one may. @param bytes of it */
export function tooMuchToMask(bytes: number): SqlRefusal {
  return sqlRefusal(
    {
      code: 'HOOP_TOO_LARGE',
      message: `a row of ${bytes} bytes takes too much time or memory to mask`,
      detail: 'It has to be searched for protected data. The rest is withheld.',
      hint: 'Omit large columns from the statement, or read them in parts with substring().',
    },
    SQL_STATE.programLimitExceeded,
  );
}

/** A large row, while the gateway has no descriptors or threads left. */
export function noThreadToMask(): SqlRefusal {
  return sqlRefusal(
    {
      code: 'HOOP_RESULT_MISMATCH',
      message: 'the gateway cannot start a thread to mask a large row',
      detail: 'It was to be searched for protected data. What follows is withheld.',
      hint: MORE_THREADS,
    },
    SQL_STATE.insufficientResources,
  );
}

/** A statement, while what is known of others of its user takes all the memory that there is for that. */
export function noRoomToKeep({ kept, wanted }: NoRoom): SqlRefusal {
  return sqlRefusal(
    {
      code: 'HOOP_LIMIT',
      message: 'your prepared and running statements take too much memory of the gateway',
      detail: `This one would take ${mebibytes(wanted)}; ${mebibytes(kept)} are taken, in all connections of yours. Most of it is for the columns of wide results.`,
      hint: 'Close what is prepared (DEALLOCATE ALL), let statements end, or select fewer columns.',
    },
    SQL_STATE.insufficientResources,
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function limitText(what: string, limit: number): string {
  return `${what}, up to ${limit / MIB} MiB (limits.messageMiB of the gateway).`;
}
