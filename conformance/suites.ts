import type { Suite } from './suite.ts';
import { isolation } from './suites/isolation.ts';
import { regression } from './suites/regression.ts';

/** In the order in which they run. */
export const SUITES: readonly Suite[] = [regression, isolation];
