/**
 * Waits that something else may end first. Here once, because each copy forgets a listener, a timer
 * or a signal that was aborted before.
 */

/**
 * Calls `act` once when the signal aborts, at once if it has; no more once it is disposed of:
 * `using _ = onAbort(signal, act)`.
 */
export function onAbort(signal: AbortSignal, act: () => void): Disposable {
  if (signal.aborted) {
    act();
    return { [Symbol.dispose]: () => undefined };
  }
  const listener = (): void => act();
  signal.addEventListener('abort', listener, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', listener) };
}

/**
 * What the promise gives. When the signal aborts first nobody waits for the promise any more, which
 * goes on by itself.
 * @param reason what is thrown then
 * @throws the signal's reason
 */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  reason: () => unknown = () => signal.reason,
): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  using _ = onAbort(signal, () => reject(reason()));
  return await Promise.race([over, promise]);
}

/** Resolves with the promise, or when the signal aborts. */
export async function doneOrAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  using _ = onAbort(signal, resolve);
  await Promise.race([promise, over]);
}

/** What the promise gives. @throws what `late` makes, when it takes longer */
export async function inTime<T>(
  promise: Promise<T>,
  timeoutMs: number,
  late: () => unknown,
): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), timeoutMs);
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** @returns whether it resolved in time; false also when it failed. */
export function withinTime(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  return inTime(promise, timeoutMs, () => undefined).then(
    () => true,
    () => false,
  );
}
