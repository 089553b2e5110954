import { hidesQuotes } from '../policy/shell-variables.ts';

/**
 * Environment variables that a client may set: those that OpenSSH's own configuration passes on.
 * What loaders and shells obey (LD_PRELOAD, BASH_ENV, PATH) would be code of the client's choice in
 * a command that a rule has allowed.
 */
const PASSED = /^(LANG|LC_[A-Z0-9_]+|TERM|COLORTERM)$/;
/** Of locale(7): the system looks for files by their values. Under other names of LC_ people send their own. */
const CATEGORY =
  /^(LANG|LC_(ALL|CTYPE|COLLATE|MESSAGES|MONETARY|NUMERIC|TIME|PAPER|NAME|ADDRESS|TELEPHONE|MEASUREMENT|IDENTIFICATION))$/;
const MAX_VALUE_BYTES = 4096;

export function isPassed(name: string, value: string): boolean {
  return (
    PASSED.test(name) &&
    Buffer.byteLength(value) <= MAX_VALUE_BYTES &&
    !(CATEGORY.test(name) && value.includes('/')) &&
    // Nor what makes the shell there read a command in another way than the gateway did.
    !hidesQuotes(name, value)
  );
}
