import { globSync, readFileSync } from 'node:fs';

/**
 * Folders whose files run one after the other in the same worker, which loads what they have in common
 * once: half of what a short file costs. The other folders are about processes and what they leave
 * behind, or start so many that it makes no difference.
 */
const FOLDERS =
  'api,auth,carrier,client,connectors,gateway,masking,policy,protocol,recording,replay,tunnel,ui';

/**
 * A module can be replaced only where no file before has loaded it, and the clock only where none has
 * left a timer that runs as long as the process, as a gateway's does.
 */
const REPLACES = /\bvi\.(mock|doMock|resetModules|useFakeTimers)\b/;

/** Of a worker that is not warm: what one client asks for has to take longer than another's login. */
const NEEDS_ITS_OWN = /\/connectors\/ssh\/gateway\/greedy-client\.test\.ts$/;

/** The test files that share workers. What keeps them from each other is in left-as-found.ts. */
export const inSharedWorkers: string[] = globSync(`test/{${FOLDERS}}/**/*.test.ts`).filter(
  (file) => !NEEDS_ITS_OWN.test(file) && !REPLACES.test(readFileSync(file, 'utf8')),
);
