/** Aligned columns for terminals and pipes. Cells are remote text until proven otherwise. */

import type { LineOptions } from '../replay/statement-lines.ts';
import { plain } from './printable.ts';
import type { Style } from './style.ts';
import { padTo, textWidth, truncate } from './text-width.ts';

export interface TableColumn {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Never cut: an id or a date with its end missing is worth nothing. */
  readonly whole?: boolean;
  /** Colour for a cell; gets the padded text. */
  readonly paint?: (text: string, cell: string) => string;
}

export interface TableOptions {
  readonly columns: readonly TableColumn[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of the terminal; undefined (a pipe, a file): nothing is cut off. */
  readonly width: number | undefined;
  readonly style: Style;
  /** `grid` draws lines as psql does, for data; `list` is for listings. */
  readonly look: 'list' | 'grid';
}

/** Narrower than this a column says nothing. */
const MIN_WIDTH = 6;

/** @returns lines without line feeds, the header first. */
export function renderTable(options: TableOptions): string[] {
  const { columns, style, look } = options;
  const titles = columns.map(({ title }) => plain(title));
  const rows = options.rows.map((row) => columns.map((_, index) => plain(row[index] ?? '')));
  const separator = look === 'grid' ? ' │ ' : '  ';
  const margin = look === 'grid' ? ' ' : '';
  const natural = titles.map((title, index) =>
    rows.reduce((width, row) => Math.max(width, textWidth(row[index] ?? '')), textWidth(title)),
  );
  const widths =
    options.width === undefined
      ? natural
      : shrinkToFit(
          natural.map((width, index) => ({ width, whole: columns[index]?.whole === true })),
          options.width - margin.length - separator.length * (columns.length - 1),
        );

  const line = (cells: readonly string[], paint: (text: string, index: number) => string) =>
    (
      margin +
      cells
        .map((cell, index) => {
          const width = widths[index] ?? 0;
          const padded = padTo(truncate(cell, width), width, columns[index]?.align ?? 'left');
          const last = index === cells.length - 1;
          return paint(last && !padded.startsWith(' ') ? padded.trimEnd() : padded, index);
        })
        .join(separator)
    ).trimEnd();

  const lines = [line(titles, (text) => style.bold(text))];
  if (look === 'grid') {
    lines.push(`─${widths.map((width) => '─'.repeat(width)).join('─┼─')}─`);
  }
  for (const row of rows) {
    lines.push(line(row, (text, index) => columns[index]?.paint?.(text, row[index] ?? '') ?? text));
  }
  return lines;
}

/** A column that knows what of a row it shows. */
export interface ListColumn<Row> extends TableColumn {
  /** The least width of a terminal at which it is shown. */
  readonly from?: number;
  readonly cell: (row: Row) => string;
}

/** A row a line. @returns as `renderTable` */
export function listTable<Row>(
  rows: readonly Row[],
  all: readonly ListColumn<Row>[],
  { style, width }: LineOptions,
): string[] {
  const columns = all.filter(({ from = 0 }) => width === undefined || width >= from);
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)));
  return renderTable({ columns, rows: cells, width, style, look: 'list' });
}

export type Fact = readonly [name: string, value: string | undefined];

/** A fact a line, without those that have no value. @param label columns for the names */
export function factLines(facts: readonly Fact[], label: number, style?: Style): string[] {
  return facts.flatMap(([name, value]) => {
    const padded = name.padEnd(label);
    return value === undefined ? [] : [`${style?.bold(padded) ?? padded}${plain(value)}`];
  });
}

/** Takes from the widest columns first, so that short ones (states, counts) stay whole. */
function shrinkToFit(
  natural: readonly { readonly width: number; readonly whole: boolean }[],
  available: number,
): number[] {
  const widths = natural.map(({ width }) => width);
  let excess = widths.reduce((sum, width) => sum + width, 0) - available;
  while (excess > 0) {
    const elastic = widths.filter((_, index) => natural[index]?.whole === false);
    const widest = Math.max(0, ...elastic);
    if (widest <= MIN_WIDTH) {
      break;
    }
    const index = widths.findLastIndex(
      (width, column) => width === widest && natural[column]?.whole === false,
    );
    const next = Math.max(MIN_WIDTH, ...elastic.filter((width) => width < widest));
    const step = Math.min(excess, Math.max(1, widest - next));
    widths[index] = widest - step;
    excess -= step;
  }
  return widths;
}
