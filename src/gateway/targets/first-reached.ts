import { HoopError } from '../../errors.ts';

/**
 * One attempt after the other, in their order; the next one only if this one may have gone wrong by
 * itself. A refused credential would be refused, and counted, on every host.
 * @throws HoopError HOOP_TARGET_UNREACHABLE with all that was found; what no other attempt would change
 */
export async function firstReached<Attempt, Reached>(
  target: { readonly name: string; readonly hosts: readonly unknown[] },
  attempts: readonly Attempt[],
  connect: (attempt: Attempt) => Promise<Reached>,
  mayTryNext: (error: HoopError) => boolean,
): Promise<Reached> {
  const all: HoopError[] = [];
  for (const attempt of attempts) {
    try {
      return await connect(attempt);
    } catch (error) {
      if (!(error instanceof HoopError) || !mayTryNext(error)) throw error;
      all.push(error);
    }
  }
  // Where hosts were tried for one thing and then for another, what counts is what was said last.
  const failures = all.slice(-target.hosts.length);
  const [only] = failures;
  if (only !== undefined && failures.length === 1) throw only;
  throw new HoopError('HOOP_TARGET_UNREACHABLE', `cannot reach target "${target.name}"`, {
    detail: failures.map(({ detail }) => detail).join(' '),
    cause: new AggregateError(failures),
  });
}
