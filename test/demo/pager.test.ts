import { expect, test } from 'vitest';
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
