import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { renderJson } from '../../src/ui/render-json.ts';
import {
  neutraliseLogCommands,
  obeysOutput,
  withoutLogCommands,
} from '../../src/ui/replay/log-commands.ts';

/** As GitHub's runner reads a line (`ActionCommand.TryParseV2` and `TryParse`), and Azure's agent. */
function obeyed(output: string): string[] {
  return output
    .split(/\r\n|\n|\r/)
    .filter((line) => /^[\s\u0085]*::/.test(line) || /##(\[|vso\[|teamcity\[)/i.test(line));
}

describe('text of others', () => {
  test.each([
    '::add-mask::x',
    'a row\n  ::error file=x::no',
    'a row\r\n\t\u00a0::set-output name=x::y',
    'hoop: error: ##[error]no',
    '##[add-mask]x',
    'x ##vso[task.setvariable variable=x]y',
    '##VSO[task.complete]',
    "##teamcity[buildStatus text='x']",
    '###[group]x',
    '::::notice::x\n::\n::x',
  ])('%j does nothing, and can still be read', (hostile) => {
    expect(obeyed(hostile)).not.toEqual([]);
    const safe = withoutLogCommands(hostile);
    expect(obeyed(safe)).toEqual([]);
    expect(
      safe.replace(/⟪U\+(\w+)⟫/g, (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16))),
    ).toBe(hostile);
  });

  test.each([
    "SELECT now()::date, 'a'::text",
    'x\n: one colon\n  a::int',
    '# heading\n## second [link]\n#[x]',
    'SELECT a ## b',
    'fe80::1',
  ])('%j is left as it is', (harmless) => {
    expect(withoutLogCommands(harmless)).toBe(harmless);
  });

  test('is the same wherever it is cut', async () => {
    const hostile = 'a\n  ::error::x ##[group]y\nb::int\n::';
    for (let first = 0; first < hostile.length; first += 1) {
      for (const second of [first + 1, first + 2, hostile.length]) {
        const stream = new PassThrough();
        neutraliseLogCommands(stream);
        stream.write(hostile.slice(0, first));
        stream.write(hostile.slice(first, second));
        stream.write(hostile.slice(second));
        stream.end();
        expect(obeyed(await text(stream))).toEqual([]);
      }
    }
  });

  test('and bytes go through: a recording, what a command has printed', async () => {
    const stream = new PassThrough();
    neutraliseLogCommands(stream);
    let isWritten = false;
    stream.write('x\n', 'utf8', () => {
      isWritten = true;
    });
    stream.write(Buffer.from('::group::of the job\n'));
    stream.write('::end\n');
    stream.end();
    expect(await text(stream)).toBe('x\n::group::of the job\n:⟪U+003A⟫end\n');
    expect(isWritten).toBe(true);
  });
});

test('JSON has none, and says the same', () => {
  const value = { '##[error]': ['::x', '##vso[task]', 'a ##[group]'] };
  const json = renderJson(value);
  expect(obeyed(json)).toEqual([]);
  expect(JSON.parse(json)).toEqual(value);
});

test('systems that obey what is printed are known by their variables', () => {
  expect(obeysOutput({ GITHUB_ACTIONS: 'true' })).toBe(true);
  expect(obeysOutput({ TF_BUILD: 'True' })).toBe(true);
  expect(obeysOutput({ CI: 'true', GITLAB_CI: 'true' })).toBe(false);
});
