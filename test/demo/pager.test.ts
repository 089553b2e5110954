import { describe, expect, test } from 'vitest';
import { Pager } from '../../src/demo/pager.ts';

/** Each screen as an entry; a test says what its reader answers. */
function reader(rows: number, answers: (() => Promise<boolean>)[]) {
  const screens = [''];
  const pager = new Pager({
    write: (text) => screens.push(`${screens.pop() ?? ''}${text}`),
    size: () => ({ columns: 10, rows }),
    more: () => {
      screens.push('');
      return answers.shift()?.() ?? Promise.resolve(true);
    },
  });
  return { pager, screens };
}

test('what fits is written at once, and more of it waits for the reader', async () => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const { pager, screens } = reader(5, [() => promise]);
  pager.write('one\ntwo\n');
  expect(screens).toEqual(['one\ntwo\n']);
  pager.write('three\nfour\n');
  pager.write('five\nsix\nseven\n');
  expect(screens).toEqual(['one\ntwo\nthree\n', '']);
  resolve(true);
  await pager.settled();
  expect(screens).toEqual(['one\ntwo\nthree\n', 'four\nfive\nsix\n', 'seven\n']);
});

test('lines that the terminal breaks count as many, colours as nothing', async () => {
  const { pager, screens } = reader(5, []);
  pager.write(`\u001b[1m${'x'.repeat(10)}\u001b[22m\n${'y'.repeat(11)}\nz\n`);
  await pager.settled();
  expect(screens).toHaveLength(2);
  expect(screens[1]).toBe('z\n');
});

test('a new screen begins when whoever reads has been asked something else', async () => {
  const { pager, screens } = reader(4, []);
  pager.write('one\ntwo\n');
  pager.newScreen();
  pager.write('three\nfour\n');
  await pager.settled();
  expect(screens).toEqual(['one\ntwo\nthree\nfour\n']);
});

test('whoever wants no more questions gets the rest in one piece', async () => {
  const { pager, screens } = reader(3, [async () => false]);
  pager.write('1\n2\n3\n4\n5\n');
  await pager.settled();
  expect(screens).toEqual(['1\n', '2\n3\n4\n5\n']);
});

test('an interruption at the question comes out where everything is awaited', async () => {
  const { pager, screens } = reader(3, [() => Promise.reject(new Error('interrupted'))]);
  pager.write('1\n2\n3\n');
  pager.write('4\n');
  await expect(pager.settled()).rejects.toThrow('interrupted');
  expect(screens).toEqual(['1\n', '']);
});

describe('on a screen of 24 rows', () => {
  const lines = (count: number, from = 1): string =>
    Array.from({ length: count }, (_, index) => `${from + index}\n`).join('');
  const heights = (screens: string[]): number[] =>
    screens.map((screen) => screen.split('\n').length - 1);

  test('no page is left with a line or two: those before come along', async () => {
    for (let count = 1; count <= 70; count += 1) {
      const { pager, screens } = reader(24, []);
      for (let line = 1; line <= count; line += 1) {
        pager.write(`${line}\n`);
      }
      await pager.settled();
      expect(screens.join('')).toBe(lines(count));
      expect(Math.max(...heights(screens))).toBeLessThanOrEqual(22);
      expect(count < 5 ? 5 : Math.min(...heights(screens))).toBeGreaterThanOrEqual(5);
    }
  });

  test('only the last rows of a page wait for what comes after them', async () => {
    const { pager, screens } = reader(24, []);
    pager.write(lines(20));
    expect(screens).toEqual([lines(17)]);
    pager.write(lines(7, 21));
    expect(screens).toEqual([lines(22), '']);
    await pager.settled();
    expect(screens).toEqual([lines(22), lines(5, 23)]);
  });

  test('a page ends before an empty line near its end', async () => {
    const { pager, screens } = reader(24, []);
    pager.write(`${lines(19)}\n${lines(12, 20)}`);
    await pager.settled();
    expect(screens).toEqual([lines(19), `\n${lines(12, 20)}`]);
  });
});
