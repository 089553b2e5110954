import { describe, expect, test } from 'vitest';
import { renderJson } from '../../src/ui/render-json.ts';
import { plain, plainLines } from '../../src/ui/text/printable.ts';

describe('plain', () => {
  test('text of every script stays as it is', () => {
    const text = 'prod-db «Ünï» 日本語 עברית 👩‍💻 (a+b)';
    expect(plain(text)).toBe(text);
  });

  test('controls are shown, so that nothing is hidden and nothing acts', () => {
    expect(plain('a\x1b]52;c;QQ\x07b\u009b31m')).toBe('a⟪U+001B⟫]52;c;QQ⟪U+0007⟫b⟪U+009B⟫31m');
  });

  test('line breaks of every kind are shown, so that one line stays one line', () => {
    expect(plain('a\nb\rc\u0085d\u2028e')).toBe('a⟪U+000A⟫b⟪U+000D⟫c⟪U+0085⟫d⟪U+2028⟫e');
  });

  test('marks that reorder or hide text are shown', () => {
    expect(plain('user\u202etxt.exe\u2066\u200f\u{e0020}\u200b')).toBe(
      'user⟪U+202E⟫txt.exe⟪U+2066⟫⟪U+200F⟫⟪U+E0020⟫⟪U+200B⟫',
    );
  });

  test('a lone surrogate becomes the replacement character', () => {
    expect(plain('a\ud800b')).toBe('a\ufffdb');
  });

  test('plainLines keeps line feeds and nothing else', () => {
    expect(plainLines('select 1;\r\n\tselect \x1b[2J2')).toBe('select 1;\n    select ⟪U+001B⟫[2J2');
  });
});

describe('renderJson', () => {
  test('reads back equal and holds nothing that a terminal acts on', () => {
    const value = { text: 'a\x1b[2J\u009b\u202e\u2028\u007f"é' };
    const text = renderJson(value);
    expect(JSON.parse(text)).toEqual(value);
    expect(text).toBe('{"text":"a\\u001b[2J\\u009b\\u202e\\u2028\\u007f\\"é"}');
  });
});
