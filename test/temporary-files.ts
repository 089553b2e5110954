import { expect, inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of this run of the tests, in memory where it can be; it goes with it. */
    readonly sharedDirectory: string;
    /** In memory; undefined: there is none. */
    readonly inMemory: string | undefined;
  }
}

/** A fence has a `/dev` of its own, without what is in `/dev/shm`: these keep their files elsewhere. */
const BEHIND_A_FENCE = /[\\/]test[\\/](e2e|run)[\\/]/;

const inMemory = inject('inMemory');
if (inMemory !== undefined && !BEHIND_A_FENCE.test(expect.getState().testPath ?? '')) {
  process.env['TMPDIR'] = inMemory;
}
