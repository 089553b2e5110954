import { expect, inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of this run of the tests, in memory where it can be; it goes with it. */
    readonly sharedDirectory: string;
    /** In memory; undefined: there is none. */
    readonly inMemory: string | undefined;
  }
}

/** These are about what a fence shows, and that has a `/dev` of its own, without what is in `/dev/shm`. */
const ABOUT_FENCES = /[\\/]test[\\/]run[\\/]fence[\\/]/;

const inMemory = inject('inMemory');
if (inMemory !== undefined && !ABOUT_FENCES.test(expect.getState().testPath ?? '')) {
  process.env['TMPDIR'] = inMemory;
}
