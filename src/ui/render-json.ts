/**
 * The same as JSON.stringify for every reader of JSON, but with nothing in it that a terminal
 * would act on: JSON escapes C0 controls by itself and leaves C1, DEL and bidi marks as they are.
 * Nor that the log of a CI system would: see `withoutLogCommands`.
 *
 * @returns one line, without a line feed at its end.
 */
export function renderJson(value: unknown): string {
  return JSON.stringify(value)
    .replace(
      /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .replace(/(##[a-z]*)\[/gi, '$1\\u005b');
}
