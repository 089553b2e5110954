import { describe, expect, test } from 'vitest';
import { HitCandidates } from '../../src/masking/candidates/hit-candidates.ts';
import { valueWithoutHits } from '../../src/masking/detect-value.ts';
import type { DetectorName } from '../../src/policy/types.ts';
import { Maker, seeded } from './made-values.ts';
import { valueWithoutHits as oracleWithoutHits } from './oracle/detect-value.ts';

const ALL: readonly DetectorName[] = [
  ...(['card', 'ssn', 'email', 'iban', 'jwt', 'cloud-key', 'vcs-token', 'private-key'] as const),
  'url-password',
];
/** More by hand: HOOP_FUZZ_VALUES=2000000 HOOP_FUZZ_SEED=1 npx vitest run test/masking/candidates.test.ts */
const VALUES = Number(process.env['HOOP_FUZZ_VALUES'] ?? 8000);
const SEED = Number(process.env['HOOP_FUZZ_SEED'] ?? 24);

describe('what looks at bytes first', () => {
  test('lets nothing slip that the detectors find in decoded text, and changes no result', () => {
    const random = seeded(SEED);
    const maker = new Maker(random);
    const candidates = new HitCandidates();
    let hits = 0;
    for (let round = 0; round < VALUES; round += 1) {
      const { value, typeOid, format, isUtf8 } = maker.value();
      const detectors = new Set(random() < 0.8 ? ALL : ALL.filter(() => random() < 0.3));
      const common = { detectors, isText: (oid: number) => oid === 99_999, isUtf8 };
      const counts = new Map<DetectorName, number>();
      const expectedCounts = new Map<DetectorName, number>();
      const result = valueWithoutHits(value, typeOid, format, { ...common, counts, candidates });
      const expected = oracleWithoutHits(value, typeOid, format, {
        ...common,
        counts: expectedCounts,
      });
      if (expected !== undefined) hits += 1;
      const isSame =
        result instanceof Uint8Array && expected instanceof Uint8Array
          ? Buffer.compare(result, expected) === 0
          : result === expected;
      if (!isSame || !sameCounts(counts, expectedCounts)) {
        const what = `round ${round}, type ${typeOid}, format ${format}, ${isUtf8 ? 'UTF-8' : 'bytes'}, ${value.toString('hex')} ${JSON.stringify(value.toString())}`;
        expect({ what, result: shown(result), counts }).toEqual({
          what,
          result: shown(expected),
          counts: expectedCounts,
        });
      }
    }
    // Else it would compare nothing with nothing.
    expect(hits / VALUES).toBeGreaterThan(0.2);
    expect(hits / VALUES).toBeLessThan(0.95);
  });
});

function sameCounts(left: Map<string, number>, right: Map<string, number>): boolean {
  return left.size === right.size && [...left].every(([name, count]) => right.get(name) === count);
}

function shown(result: Uint8Array | null | undefined): string | null | undefined {
  return result instanceof Uint8Array ? Buffer.from(result).toString('latin1') : result;
}
