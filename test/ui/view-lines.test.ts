import { expect, test } from 'vitest';
import { cutView, type View, withLater } from '../../src/api/view.ts';
import { recordedView } from '../../src/recording/formats/recorded-view.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import { textWidth } from '../../src/ui/text/text-width.ts';
import { viewLines } from '../../src/ui/view-lines.ts';

const WIDE = { style: styleFor(false), width: undefined };
// biome-ignore format: one class
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** Every form, with this wherever there is room for a text. */
function everyForm(text: string): View {
  return [
    { type: 'heading', text },
    { type: 'fields', fields: [{ name: text, value: text }] },
    { type: 'code', language: text, text },
    { type: 'list', items: [text] },
    { type: 'sentence', text },
    { type: 'warning', text },
    { type: 'table', columns: [text, 'b'], rows: [[text, text]] },
  ];
}

test('fields stand apart from what would run, and those without a value are left out', () => {
  const view: View = [
    { type: 'heading', text: 'Two lines' },
    {
      type: 'fields',
      fields: [
        { name: 'act', value: 'line' },
        { name: 'login', value: '' },
      ],
    },
    { type: 'code', language: 'text', text: 'GET a\nSET a 1\n' },
    { type: 'list', items: ['a = 1'] },
    { type: 'warning', text: 'a is new' },
    { type: 'table', columns: ['key', 'value'], rows: [['a', '1']] },
  ];
  const lines = ['Two lines', '', 'act        line', '', '  GET a', '  SET a 1', '  a = 1'];
  const rest = ['warning: a is new', ' key │ value', '─────┼───────', ' a   │ 1'];
  expect(viewLines(view, WIDE, 'nothing')).toEqual([...lines, ...rest]);
  const beside = viewLines(view, WIDE, 'fields');
  expect(beside[0]).toBe('');
  expect(beside.at(-1)).toBe('');
});

test('nothing in any form reaches the terminal as a control, or takes the look of another line', () => {
  const nasty = '\u001b[2J\u001b]0;pwned\u0007\r\u202e\u2066<b>&amp;\u009b1A\ud800';
  const lines = viewLines(everyForm(nasty), WIDE, 'nothing');
  expect(lines.length).toBe(11);
  for (const line of lines) expect(line).not.toMatch(CONTROLS);
  // A line feed is one in what would run alone.
  const broken = viewLines(everyForm('a\nrequest    fake'), WIDE, 'nothing');
  expect(broken.filter((line) => line.startsWith('request'))).toEqual([]);
});

test('nothing of it is cut off, however narrow the terminal', () => {
  const text = Array.from({ length: 200 }, (_, n) => `w${n}`).join(' ');
  const drawn = viewLines(everyForm(text), { ...WIDE, width: 30 }, 'nothing');
  expect(Math.max(...drawn.map(textWidth))).toBeLessThanOrEqual(text.length + 31);
  const said = drawn.join('').replaceAll(/\s/g, '');
  // heading, name and value of the field, code, list, sentence, warning, title and two cells
  expect(said.split('w199').length - 1).toBe(10);
});

test('what came later takes the place of what was not known, and of nothing else', () => {
  const view: View = [
    {
      type: 'fields',
      fields: [
        { name: 'effect', value: 'being estimated' },
        { name: 'act', value: 'exec' },
      ],
    },
    { type: 'code', language: 'shell', text: 'effect' },
  ];
  const later = [
    { name: 'effect', value: 'about 3 rows' },
    { name: 'requester', value: 'somebody else' },
  ];
  expect(viewLines(withLater(view, later), WIDE, 'nothing')).toEqual([
    'effect     about 3 rows',
    'act        exec',
    '',
    '  effect',
  ]);
});

test('a view that is cut says how much is missing, and has no half values', () => {
  const view: View = [
    { type: 'code', language: 'sql', text: 'x'.repeat(90) },
    { type: 'list', items: ['y'.repeat(20), 'z'.repeat(5)] },
    { type: 'fields', fields: [{ name: 'touches', value: 'w'.repeat(500) }] },
  ];
  expect(cutView(view, 1000)).toEqual({ view, more: 0 });
  const { view: cut, more } = cutView(view, 100);
  expect(more).toBe(20);
  expect(cut[1]).toEqual({ type: 'list', items: ['zzzzz'] });
  expect(cutView([{ type: 'code', language: 'sql', text: `${'x'.repeat(9)}😀` }], 10).view).toEqual(
    [{ type: 'code', language: 'sql', text: `${'x'.repeat(9)}\ufffd` }],
  );
});

test('an event holds a view whole, or its beginning with a warning', () => {
  expect(recordedView(everyForm('a\u0000'))).toEqual(everyForm('a\u0000'));
  expect(recordedView(everyForm('\udc00'))).toEqual(everyForm('\ufffd'));
  const huge = recordedView(everyForm('\u0001'.repeat(400_000)));
  expect(huge[0]).toMatchObject({ type: 'warning' });
  expect(JSON.stringify(huge).length).toBeLessThan(1 << 20);
});
