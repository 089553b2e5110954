import { linkSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lentInput } from '../../../src/run/fence/lent-descriptors.ts';

const root = mkdtempSync(join(tmpdir(), 'hoop-lent-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test.runIf(process.platform === 'linux')(
  'a file that has a name outside is not handed over by its descriptor alone',
  () => {
    const latin1 = Buffer.concat([Buffer.from(join(root, 'caf')), Buffer.from([0xe9])]);
    writeFileSync(latin1, 'x');
    expect(() => lentInput(openSync(latin1, 'r'))).toThrow('cannot be found by its name');
    const moved = join(root, 'moved');
    writeFileSync(moved, 'x');
    const input = openSync(moved, 'r');
    linkSync(moved, join(root, 'other'));
    rmSync(moved);
    expect(() => lentInput(input)).toThrow('cannot be found by its name');
  },
);

test.runIf(process.platform === 'linux')('a here document, which was removed, is', () => {
  const path = join(root, 'here');
  writeFileSync(path, 'x');
  const input = openSync(path, 'r');
  expect(lentInput(input)).toEqual({ path, position: 0 });
  rmSync(path);
  expect(lentInput(input)).toBeUndefined();
});
