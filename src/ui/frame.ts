/** The shape that our screens share: a list above, a rule with a title, a detail that scrolls. */
import type { ScreenSize } from './screen.ts';
import type { Style } from './text/style.ts';
import { textWidth, truncate } from './text/text-width.ts';

export interface FrameParts {
  readonly header: readonly string[];
  readonly list: {
    readonly length: number;
    /** Of the room that list and detail have: the most that the list takes, from 0 to 1. */
    readonly share: number;
    readonly lines: (count: number) => readonly string[];
  };
  readonly title: string;
  readonly detail: readonly string[];
  /** First line of the detail that is wanted. */
  readonly scroll: number;
  readonly footer: readonly string[];
}

export interface Frame {
  readonly lines: readonly string[];
  /** Lines of list and of detail that fit, and how far the detail can be scrolled: for the keys. */
  readonly page: { readonly list: number; readonly detail: number; readonly maxScroll: number };
}

const MIN_COLUMNS = 40;
const MIN_ROWS = 12;
const MIN_LIST = 3;

/** @param parts is asked for only where there is room. */
export function layFrame(size: ScreenSize, style: Style, parts: () => FrameParts): Frame {
  if (size.columns < MIN_COLUMNS || size.rows < MIN_ROWS) {
    const lines = [`This needs ${MIN_COLUMNS}x${MIN_ROWS};`, 'q quits.'];
    return { lines, page: { list: 1, detail: 1, maxScroll: 0 } };
  }
  const { header, list, title, detail, scroll, footer } = parts();
  const room = size.rows - header.length - footer.length - 1;
  const listRows = Math.max(MIN_LIST, Math.min(list.length, Math.floor(room * list.share)));
  const detailRows = room - listRows;
  const maxScroll = Math.max(0, detail.length - detailRows);
  const first = Math.min(scroll, maxScroll);
  const shown = detail.slice(first, first + detailRows);
  const more =
    maxScroll > 0 ? `lines ${first + 1}-${first + shown.length} of ${detail.length}` : '';
  return {
    lines: [
      ...header,
      ...fill(list.lines(listRows), listRows),
      rule(title, more, size.columns, style),
      ...fill(shown, detailRows),
      ...footer,
    ],
    page: { list: listRows, detail: detailRows, maxScroll },
  };
}

/** Of so many entries the `count` around the selected one. @returns the index of the first. */
export function firstShown(length: number, count: number, selected: number): number {
  return Math.max(0, Math.min(length - count, selected - Math.floor(count / 2)));
}

function rule(left: string, right: string, columns: number, style: Style): string {
  const start = truncate(left === '' ? '──' : `── ${left} `, columns);
  const end = right && textWidth(start) + textWidth(right) + 5 < columns ? ` ${right} ──` : '';
  const fillWidth = Math.max(0, columns - textWidth(start) - textWidth(end));
  return style.dim(`${start}${'─'.repeat(fillWidth)}${end}`);
}

function fill(lines: readonly string[], count: number): string[] {
  return [...lines.slice(0, count), ...Array<string>(Math.max(0, count - lines.length)).fill('')];
}
