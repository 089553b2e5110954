import { hidesQuotes } from '../../policy/ssh/shell-variables.ts';

/**
 * Environment variables that a client may set: those that OpenSSH's own configuration passes on.
 * What loaders and shells obey (LD_PRELOAD, BASH_ENV, PATH) would be code of the client's choice in
 * a command that a rule has allowed.
 */
const PASSED = /^(LANG|LC_[A-Z0-9_]+|TERM|COLORTERM)$/;
const MAX_VALUE_BYTES = 4096;

export function isPassed(name: string, value: string): boolean {
  return (
    PASSED.test(name) &&
    Buffer.byteLength(value) <= MAX_VALUE_BYTES &&
    // Nor what makes the shell there read a command in another way than the gateway did.
    !hidesQuotes(name, value)
  );
}
