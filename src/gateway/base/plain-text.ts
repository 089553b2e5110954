/**
 * Text of one person that another one's terminal shows through psql: one line, without control
 * and format characters (escape sequences, reversed writing), cut at `max` characters.
 */
export function plainText(text: string, max: number): string {
  const plain = visibleText(text);
  const characters = [...plain];
  return characters.length > max ? `${characters.slice(0, max - 1).join('')}…` : plain;
}

/** Nobody would see anything of it: it is no reason. */
export function isBlank(text: string | undefined): boolean {
  return text === undefined || visibleText(text) === '';
}

function visibleText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
}
