import type { Suite } from './suite.ts';
import { drivers } from './suites/drivers.ts';
import { dumpRestore } from './suites/dump-restore.ts';
import { fuzz } from './suites/fuzz.ts';
import { isolation } from './suites/isolation.ts';
import { libpqTrace } from './suites/libpq-trace.ts';
import { nodePostgres } from './suites/node-postgres.ts';
import { pgbench } from './suites/pgbench.ts';
import { psql } from './suites/psql.ts';
import { regression } from './suites/regression.ts';

/** In the order in which they run. */
export const SUITES: readonly Suite[] = [
  psql,
  drivers,
  libpqTrace,
  nodePostgres,
  dumpRestore,
  pgbench,
  fuzz,
  regression,
  isolation,
];
