import { expect, test } from 'vitest';
import { isCi, mayColor } from '../../src/ui/text/may-color.ts';

const terminal = { isTTY: true };
const pipe = {};

test.each([
  ['a terminal', terminal, {}, true],
  ['a pipe', pipe, {}, false],
  ['a terminal that cannot', terminal, { TERM: 'dumb' }, false],
  ['a terminal of a CI system', terminal, { CI: 'true' }, false],
  ['a terminal where CI is said to be off', terminal, { CI: 'false' }, true],
  ['NO_COLOR on a terminal', terminal, { NO_COLOR: '1' }, false],
  ['an empty NO_COLOR on a terminal', terminal, { NO_COLOR: '' }, true],
  ['FORCE_COLOR in a pipe', pipe, { FORCE_COLOR: '1' }, true],
  ['FORCE_COLOR in CI', pipe, { FORCE_COLOR: '3', CI: 'true', TERM: 'dumb' }, true],
  ['FORCE_COLOR=0 on a terminal', terminal, { FORCE_COLOR: '0' }, false],
  ['NO_COLOR against FORCE_COLOR', terminal, { NO_COLOR: '0', FORCE_COLOR: '1' }, false],
])('colours: %s', (_title, stream, env, expected) => {
  expect(mayColor(stream, env)).toBe(expected);
});

test.each([
  ['true', true],
  ['1', true],
  ['woodpecker', true],
  ['', false],
  ['0', false],
  ['FALSE', false],
  [undefined, false],
])('CI=%s is a CI system: %s', (CI, expected) => {
  expect(isCi(CI === undefined ? {} : { CI })).toBe(expected);
});
