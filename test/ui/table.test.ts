import { describe, expect, test } from 'vitest';
import { styleFor } from '../../src/ui/text/style.ts';
import { renderTable } from '../../src/ui/text/table.ts';
import { padTo, textWidth, truncate } from '../../src/ui/text/text-width.ts';

const style = styleFor(false);

describe('text width', () => {
  test.each([
    ['abc', 3],
    ['', 0],
    ['日本', 4],
    ['e\u0301', 1],
    ['👩‍💻', 2],
    ['✔', 1],
    ['한글', 4],
    ['⟪U+001B⟫', 8],
    ['❤️', 2],
  ])('%j takes %i columns', (text, width) => {
    expect(textWidth(text)).toBe(width);
  });

  test('a cut never splits a character and never exceeds the width', () => {
    for (const text of ['日本語テキスト', 'cafe\u0301 au lait', '👩‍💻👩‍💻👩‍💻', 'plain ascii']) {
      for (let width = 0; width <= textWidth(text) + 1; width++) {
        const cut = truncate(text, width);
        expect(textWidth(cut)).toBeLessThanOrEqual(width);
        expect(cut === text).toBe(width >= textWidth(text));
        if (cut !== text && width > 0) {
          expect(cut.endsWith('…')).toBe(true);
          expect(text.startsWith(cut.slice(0, -1))).toBe(true);
        }
      }
    }
  });

  test('padding counts columns, not characters', () => {
    expect(padTo('日', 4, 'left')).toBe('日  ');
    expect(padTo('7', 3, 'right')).toBe('  7');
  });
});

describe('tables', () => {
  test('a list has aligned columns', () => {
    const lines = renderTable({
      columns: [{ title: 'NAME' }, { title: 'ROWS', align: 'right' }, { title: 'NOTE' }],
      rows: [
        ['prod-db', '12', 'x'],
        ['日本', '3', ''],
      ],
      width: undefined,
      style,
      look: 'list',
    });
    expect(lines).toEqual(['NAME     ROWS  NOTE', 'prod-db    12  x', '日本        3']);
  });

  test('a grid looks like a query result', () => {
    const lines = renderTable({
      columns: [{ title: 'id', align: 'right' }, { title: 'name' }],
      rows: [['1', 'ann']],
      width: undefined,
      style,
      look: 'grid',
    });
    expect(lines).toEqual([' id │ name', '────┼──────', '  1 │ ann']);
  });

  test('the widest columns give way until the table fits the terminal', () => {
    const lines = renderTable({
      columns: [{ title: 'ID' }, { title: 'REASON' }, { title: 'STATE' }],
      rows: [['01a', 'because '.repeat(20), 'live']],
      width: 40,
      style,
      look: 'list',
    });
    expect(lines.every((line) => textWidth(line) <= 40)).toBe(true);
    expect(lines[1]).toMatch(/^01a {2}because .*… {2}live$/);
  });

  test('cells cannot act on the terminal', () => {
    const [, line] = renderTable({
      columns: [{ title: 'X' }],
      rows: [['a\x1b[2J\nb']],
      width: undefined,
      style,
      look: 'list',
    });
    expect(line).toBe('a⟪U+001B⟫[2J⟪U+000A⟫b');
  });
});
