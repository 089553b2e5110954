/**
 * Goes on with what may be known now or later, by one path: at once where it is known, which saves
 * a chain of promises for each message, and otherwise when it is.
 */
export function after<Value, Result>(
  value: Value | Promise<Value>,
  next: (value: Value) => Result,
): Result | Promise<Awaited<Result>> {
  if (!(value instanceof Promise)) return next(value);
  // `then` waits for a promise that `next` gives, as `Awaited` says.
  return value.then(next) as Promise<Awaited<Result>>;
}
