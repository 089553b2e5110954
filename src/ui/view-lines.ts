/** A view as lines of text, whatever protocol it is of. Everything in it was typed by somebody else. */
import type { Fields, View } from '../api/view.ts';
import type { LineOptions } from './replay/statement-lines.ts';
import { plain, plainLines } from './text/printable.ts';
import { renderTable } from './text/table.ts';
import { wrap } from './text/text-width.ts';

/** Columns of a field's name. */
export const LABEL = 11;

/** Lines of fields stand apart from what would run. @param beside fields stand before and behind it */
export function viewLines(
  view: View,
  options: LineOptions,
  beside: 'fields' | 'nothing',
): string[] {
  const lines: string[] = [];
  let isApart = beside === 'fields';
  for (const block of view) {
    const drawn = blockLines(block, options);
    if (drawn.length === 0) continue;
    const isFields = block.type === 'fields';
    if (isFields !== isApart && (lines.length > 0 || beside === 'fields')) lines.push('');
    isApart = isFields;
    lines.push(...drawn);
  }
  return !isApart && beside === 'fields' ? [...lines, ''] : lines;
}

function blockLines(block: View[number], options: LineOptions): string[] {
  const { style, width } = options;
  switch (block.type) {
    case 'heading':
      return broken(plain(block.text), width).map((line) => style.bold(line));
    case 'sentence':
      return broken(plain(block.text), width);
    case 'warning':
      return broken(plain(`warning: ${block.text}`), width).map((line) => style.yellow(line));
    case 'code':
      return indented(block.text.trimEnd(), options).map((line) => style.bold(line));
    case 'list':
      return block.items.flatMap((item) => indented(item, options));
    case 'fields':
      return fieldLines(block.fields, options);
    case 'table': {
      const columns = block.columns.map((title) => ({ title }));
      // Nothing of it is cut: whoever decides has to see all.
      const table = renderTable({
        columns,
        rows: block.rows,
        width: undefined,
        style,
        look: 'grid',
      });
      return table.flatMap((line) => broken(line, width));
    }
  }
}

/** The name of each, and its value beside it. */
export function fieldLines(fields: Fields, { style, width }: LineOptions): string[] {
  return fields.flatMap(({ name, value }) => {
    if (value === '') return [];
    const label = style.bold(plain(name).padEnd(LABEL - 1));
    const room = width === undefined ? undefined : width - LABEL;
    return broken(plain(value), room).map((line, index) =>
      index === 0 ? `${label} ${line}` : ' '.repeat(LABEL) + line,
    );
  });
}

function indented(text: string, { width }: LineOptions): string[] {
  const room = width === undefined ? undefined : width - 2;
  return plainLines(text)
    .split('\n')
    .flatMap((line) => broken(line, room))
    .map((line) => `  ${line}`);
}

function broken(text: string, width: number | undefined): string[] {
  return width === undefined ? [text] : wrap(text, width);
}
