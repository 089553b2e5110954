/**
 * What happens to statements that are already at the target when a temporary grant ends: those
 * that only it allowed are cancelled, since they may run for hours. What they have done before
 * that is undone with their transaction, as after any cancel.
 */
import type { Entry } from './pending-queue.ts';
import type { StreamState } from './stream-state.ts';

/** Resolves when nothing runs any more by a right that is gone. */
export async function cancelWithoutRight(state: StreamState): Promise<void> {
  const { queue } = state;
  for (;;) {
    const lost = queue.find((entry) => isWithoutRight(state, entry));
    if (lost === undefined) return;
    // A cancel hits whatever the target does at that moment, so it waits for the statement's turn.
    const isGone = (): boolean => queue.find((entry) => entry === lost) === undefined;
    await state.waitForTarget(() => queue.head === lost || isGone());
    if (queue.head === lost) await state.target.cancel();
    await state.waitForTarget(isGone);
  }
}

function isWithoutRight(state: StreamState, entry: Entry): boolean {
  const { temporary = [], passthrough } = state.options.grant();
  const runs = entry.kind === 'query' ? entry.runs : entry.kind === 'execute' ? [entry.run] : [];
  return runs.some((run) => {
    if (run === undefined || run.statement.basis === undefined) {
      return run !== undefined && !passthrough;
    }
    return run.statement.allowed?.rules.some(
      ({ grant }) => grant !== undefined && !temporary.some(({ id }) => id === grant),
    );
  });
}
