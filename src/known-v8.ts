/**
 * Node.js 24 has V8 13, Node.js 26 has V8 14. Flags of V8 have no promise: another version might not know
 * ours, and would say so on stderr, or mean something else by them.
 */
const MEASURED: readonly string[] = ['13', '14'];

const [major = ''] = process.versions.v8.split('.');

/** What we set has been measured and tested with the V8 of this process. */
export const isKnownV8: boolean = MEASURED.includes(major);

/** For what V8 14 has no flag any more, or pays no heed to it. */
export const isV8Before14: boolean = major === '13';
