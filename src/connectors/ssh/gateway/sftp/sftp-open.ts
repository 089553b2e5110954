import { ProtocolError } from '../../../../errors.ts';
import type { Attributes } from '../../protocol/sftp/attributes.ts';
import { FILE_TYPE, OPEN_FLAG, STATUS } from '../../protocol/sftp/packet-types.ts';
import type { SftpRequest } from '../../protocol/sftp/request.ts';
import { type Failure, isLink, prefixes } from './sftp-paths.ts';
import { type SftpQuestions, toBytes } from './sftp-questions.ts';
import type { SftpChannel } from './sftp-types.ts';

interface Target {
  readonly channel: Pick<SftpChannel, 'targetSoftware'>;
  readonly questions: SftpQuestions;
}

export type OpenResult =
  | { readonly handle: Uint8Array; readonly size: bigint | undefined }
  /** `changed`: the target had opened it, but what it opened is not what was decided. */
  | { readonly failure: Failure; readonly changed: boolean };

/** Between two of our questions others write: a busy log is not an attack. */
const CHECKS = 3;

/**
 * Opens a resolved path, and looks once more whether it leads to what was opened. Who can swap a
 * directory for a link on the target, in the moment between the question and OPEN, would otherwise
 * open a file that was never decided.
 */
export async function openOnTarget(
  target: Target,
  path: string,
  request: Extract<SftpRequest, { type: 'open' }>,
): Promise<OpenResult> {
  const { questions } = target;
  // Emptied only when it is known to be the right one. Other servers may not be able to.
  const late =
    (request.flags & OPEN_FLAG.truncate) !== 0 && /^OpenSSH/.test(target.channel.targetSoftware);
  const flags = late ? request.flags & ~OPEN_FLAG.truncate : request.flags;
  const reply = await questions.askFor({ ...request, path: toBytes(path), flags });
  if (reply.type === 'status') {
    return { failure: reply, changed: false };
  }
  if (reply.type !== 'handle') {
    throw new ProtocolError(`target answers OPEN with ${reply.type}`);
  }
  const handle = Uint8Array.from(reply.handle);
  const found = await sameFile(questions, path, handle);
  if ('code' in found) {
    return await closeAgain(questions, handle, found);
  }
  if (late && isRegular(found) && found.size !== 0n) {
    const emptied = await questions.askFor({
      type: 'fsetstat',
      handle,
      attributes: { size: 0n },
    });
    if (emptied.type !== 'status' || emptied.code !== STATUS.ok) {
      const why = emptied.type === 'status' ? emptied : changedFailure();
      return { ...(await closeAgain(questions, handle, why)), changed: false };
    }
    return { handle, size: 0n };
  }
  return { handle, size: found.size };
}

/** A handle of a directory has no FSTAT in OpenSSH, so only the way there is looked at again. */
export async function openDirectoryOnTarget(target: Target, path: string): Promise<OpenResult> {
  const { questions } = target;
  const reply = await questions.askFor({ type: 'opendir', path: toBytes(path) });
  if (reply.type === 'status') {
    return { failure: reply, changed: false };
  }
  if (reply.type !== 'handle') {
    throw new ProtocolError(`target answers OPENDIR with ${reply.type}`);
  }
  const handle = Uint8Array.from(reply.handle);
  const looked = await questions.lstat(prefixes(path));
  return looked.every((found) => !('code' in found) && !isLink(found))
    ? { handle, size: undefined }
    : await closeAgain(questions, handle, changedFailure());
}

/** @returns attributes of the handle, if the path still leads to it without a link */
async function sameFile(
  questions: SftpQuestions,
  path: string,
  handle: Uint8Array,
): Promise<Attributes | Failure> {
  for (let check = 0; check < CHECKS; check++) {
    const [before, looked, after] = await Promise.all([
      questions.fstat(handle),
      questions.lstat(prefixes(path)),
      questions.fstat(handle),
    ]);
    const last = looked.at(-1);
    const isWay = looked.every((found) => !('code' in found) && !isLink(found));
    if (!isWay || last === undefined || 'code' in last || 'code' in before || 'code' in after) {
      return changedFailure();
    }
    if (!sameOwner(before, last)) {
      return changedFailure();
    }
    if (isBetween(before, last, after)) {
      return after;
    }
  }
  return changedFailure();
}

/** Version 3 has no inode numbers: what else there is has to do. */
function sameOwner(one: Attributes, other: Attributes): boolean {
  return (
    one.permissions === other.permissions &&
    one.owner?.uid === other.owner?.uid &&
    one.owner?.gid === other.owner?.gid
  );
}

function isBetween(before: Attributes, looked: Attributes, after: Attributes): boolean {
  const size = looked.size ?? 0n;
  const time = looked.times?.mtime ?? 0;
  return (
    size >= (before.size ?? 0n) &&
    size <= (after.size ?? 0n) &&
    time >= (before.times?.mtime ?? 0) &&
    time <= (after.times?.mtime ?? 0)
  );
}

async function closeAgain(
  questions: SftpQuestions,
  handle: Uint8Array,
  failure: Failure,
): Promise<{ readonly failure: Failure; readonly changed: true }> {
  await questions.ask({ type: 'close', handle });
  return { failure: { code: failure.code, message: failure.message }, changed: true };
}

function changedFailure(): Failure {
  return {
    code: STATUS.permissionDenied,
    message: 'the path was changed while it was opened',
  };
}

function isRegular({ permissions }: Attributes): boolean {
  return ((permissions ?? 0) & FILE_TYPE.mask) === FILE_TYPE.regular;
}
