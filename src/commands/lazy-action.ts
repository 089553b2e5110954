import type { Io } from './io.ts';

/**
 * What a command does, loaded when it runs: most runs of `hoop` need one command's code only.
 * @param load gives a function that takes what the command takes: its arguments, then its options.
 */
export function lazyAction<Taken extends readonly unknown[]>(
  io: Io,
  load: () => Promise<(io: Io, ...taken: Taken) => Promise<void>>,
): (...taken: [...Taken, command: unknown]) => Promise<void> {
  return async (...given) => {
    const run = await load();
    // commander puts the command itself behind them, which is nobody's optional parameter.
    const taken = given.slice(0, -1) as unknown as Taken;
    await run(io, ...taken);
  };
}
