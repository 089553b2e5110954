/**
 * Remote text made harmless for one line, or for lines of our own making. Nothing is hidden: what
 * a terminal would act on, or what would reorder or conceal text, is shown as ⟪U+XXXX⟫.
 */

/**
 * Controls (C0, DEL, C1), line and paragraph separators, marks that reorder text (bidi), invisible
 * tag characters, interlinear annotations and the byte order mark. Zero-width joiners stay: emoji
 * and several scripts need them.
 */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const UNSAFE_ONE = new RegExp(UNSAFE.source, 'u');
const UNSAFE_EXCEPT_LINES =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const TAB = '    ';

/** For names, table cells and error texts: one line, whatever came in. */
export function plain(text: string): string {
  return text.toWellFormed().replace(UNSAFE, visible);
}

/** For statements and other text of several lines: line feeds stay, tabs become spaces. */
export function plainLines(text: string): string {
  return text
    .toWellFormed()
    .replaceAll('\r\n', '\n')
    .replace(UNSAFE_EXCEPT_LINES, visible)
    .replaceAll('\t', TAB);
}

/** ⟪U+202E⟫: how a character that must not reach the terminal is shown. */
export function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `⟪U+${code.toString(16).toUpperCase().padStart(4, '0')}⟫`;
}

/** Whether a code point must not reach a terminal as it is. */
export function isUnsafe(codePoint: number): boolean {
  // Nearly all text is ASCII, and the terminal filter asks for every character.
  return codePoint < 0x20 || (codePoint > 0x7e && UNSAFE_ONE.test(String.fromCodePoint(codePoint)));
}
