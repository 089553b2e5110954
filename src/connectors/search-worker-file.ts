// The published package has .js files, a checkout runs the .ts files as they are.
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
/** What the thread of a gateway runs that searches recordings of the protocols of registry.ts. */
export const SEARCH_WORKER = new URL(`./search-worker.${extension}`, import.meta.url);
