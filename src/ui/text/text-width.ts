/** How many terminal columns a text takes, and how to cut or fill it to so many. */

/** Made at the first text that needs it: that takes 13 ms, and nearly all text is ASCII. */
let made: Intl.Segmenter | undefined;
/** Marks, joiners and variation selectors take no column of their own. */
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
/** Shown as a picture, two columns wide, by default or because U+FE0F asks for it. */
const EMOJI = /^\p{Emoji_Presentation}|\u{fe0f}/u;
/**
 * East Asian Wide and Fullwidth, as blocks: good to a column for text that people write.
 * https://www.unicode.org/reports/tr11/
 */
const WIDE =
  /^[\u{1100}-\u{115f}\u{2e80}-\u{303e}\u{3041}-\u{33ff}\u{3400}-\u{4dbf}\u{4e00}-\u{a4cf}\u{a960}-\u{a97f}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe10}-\u{fe19}\u{fe30}-\u{fe6f}\u{ff00}-\u{ff60}\u{ffe0}-\u{ffe6}\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]/u;

/** Nearly all text: the slow path is for the rest. */
const ASCII = /^[\x20-\x7e]*$/;

function graphemes(text: string): Intl.Segments {
  made ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return made.segment(text);
}

/** @param text printable text, as `plain` gives it. */
export function textWidth(text: string): number {
  if (ASCII.test(text)) {
    return text.length;
  }
  let width = 0;
  for (const { segment } of graphemes(text)) {
    width += clusterWidth(segment);
  }
  return width;
}

/** Cuts to at most `width` columns; what is cut off is marked by `…`. */
export function truncate(text: string, width: number): string {
  // Each column takes at least one UTF-16 unit, so longer ASCII text never needs a full scan.
  if (ASCII.test(text)) {
    return text.length <= width
      ? text
      : `${text.slice(0, Math.max(0, width - 1))}…`.slice(0, width);
  }
  let kept = '';
  let used = 0;
  let fits = true;
  for (const { segment } of graphemes(text)) {
    const next = used + clusterWidth(segment);
    if (next > width) {
      fits = false;
      break;
    }
    kept += segment;
    used = next;
  }
  return fits ? kept : `${dropLast(kept, used, width - 1)}…`.slice(0, width === 0 ? 0 : undefined);
}

export function padTo(text: string, width: number, align: 'left' | 'right'): string {
  const fill = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'left' ? text + fill : fill + text;
}

function dropLast(text: string, used: number, width: number): string {
  const clusters = [...graphemes(text)].map(({ segment }) => segment);
  let left = used;
  while (left > width && clusters.length > 0) {
    left -= clusterWidth(clusters.pop() ?? '');
  }
  return clusters.join('');
}

function clusterWidth(cluster: string): number {
  if (ZERO_WIDTH.test(cluster)) {
    return 0;
  }
  return EMOJI.test(cluster) || WIDE.test(cluster) ? 2 : 1;
}

/** Breaks one line at spaces where it can, inside words where it must. @returns at least one line. */
export function wrap(text: string, width: number): string[] {
  if (textWidth(text) <= width || width < 1) {
    return [text];
  }
  const lines: string[] = [];
  let line = '';
  let used = 0;
  for (const { segment } of graphemes(text)) {
    const next = clusterWidth(segment);
    if (used + next > width) {
      const space = line.lastIndexOf(' ');
      const keep = segment === ' ' || space <= 0 ? line.length : space + 1;
      lines.push(line.slice(0, keep).trimEnd());
      line = segment === ' ' ? '' : line.slice(keep);
      used = textWidth(line);
      if (segment === ' ') {
        continue;
      }
    }
    line += segment;
    used += next;
  }
  return line === '' ? lines : [...lines, line];
}
