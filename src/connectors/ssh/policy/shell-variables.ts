/** Variables that a command sets, by what they can do to what runs after. */

/** Change the language, the clock or the looks of what is printed. */
const HARMLESS =
  /^(?:LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CI|DEBIAN_FRONTEND)$/;

/**
 * A script's own, which no program is likely to look at: lower case, less those that zsh ties to
 * PATH and the like, and proxies.
 */
const OWN =
  /^(?!(?:path|fpath|cdpath|manpath|mailpath|module_path|argv|prompt|status|.*_proxy)$)[a-z_][a-z0-9_]*$/;

/** Which programs run, what is loaded into them, or how the shell reads: whatever the command is. */
const POWERFUL =
  /^(?:PATH|IFS|ENV|CDPATH|GLOBIGNORE|FPATH|ZDOTDIR|SHELL|PROMPT_COMMAND|PS[0-9]|SHELLOPTS|BASHOPTS|BASH_.*|LD_.*|DYLD_.*|.*_PRELOAD|path|fpath)$/;

/** Without a character set after the dot, Chinese may be Big5. */
const KNOWN_LOCALE =
  /^(?:|C|POSIX|(?!zh)[a-z]{2,3}(?:_[A-Z]{2})?(?:@\w+)?|\w+\.(?:utf-?8|iso-?8859-?\d{1,2})(?:@\w+)?)$/i;

export function isHarmless(name: string): boolean {
  return HARMLESS.test(name);
}

/**
 * Whether it is a locale in whose character set a quote or a backslash may be the second byte of a
 * character (Big5, GBK, Shift JIS): bash then reads a text in another way than it was read here. Only
 * these three say how characters are read; programs have given other LC_ names meanings of their own.
 */
export function hidesQuotes(name: string, value: string | undefined): boolean {
  return (
    /^(?:LANG|LC_ALL|LC_CTYPE)$/.test(name) && (value === undefined || !KNOWN_LOCALE.test(value))
  );
}

/** Whether a script may set it for itself. */
export function isOwn(name: string): boolean {
  return HARMLESS.test(name) || OWN.test(name);
}

export function isPowerful(name: string): boolean {
  return POWERFUL.test(name);
}
