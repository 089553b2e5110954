/**
 * Text of one person that another one's terminal shows through psql: one line, without control
 * and format characters (escape sequences, reversed writing), cut at `max` characters.
 */
export function plainText(text: string, max: number): string {
  const plain = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  const characters = [...plain];
  return characters.length > max ? `${characters.slice(0, max - 1).join('')}…` : plain;
}
