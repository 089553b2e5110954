/** How far a gateway has signed is known from what is left of the file after a power cut. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readSignedCuts, SignedCuts } from '../../src/recording/cuts/signed-cuts.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-signed-cuts-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const lines = '0 3 cm9vdA==\n1 7 cm9vdA==\n';

test('a line that power cut off is not counted, and hides none before or behind it', () => {
  for (const [left, cuts, later] of [
    ['', 2, 3],
    ['2 9 cm9', 2, 2],
    ['\0'.repeat(40), 2, 3],
  ] as const) {
    writeFileSync(join(directory, 'signed.cuts'), lines + left);
    expect(readSignedCuts(directory)).toBe(cuts);
    using signed = new SignedCuts(directory);
    signed.add(2, 12, 'cm9vdA==');
    expect(readSignedCuts(directory)).toBe(later);
  }
});
