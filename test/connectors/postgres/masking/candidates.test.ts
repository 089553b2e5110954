import { describe, expect, test } from 'vitest';
import { valueWithoutHits } from '../../../../src/connectors/postgres/masking/detect-value.ts';
import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import { CANDIDATE } from '../../../../src/masking/candidates/candidate.ts';
import { HitCandidates } from '../../../../src/masking/candidates/hit-candidates.ts';
import type { DetectorName } from '../../../../src/policy/types.ts';
import { Maker, seeded } from './made-values.ts';
import { valueWithoutHits as oracleWithoutHits } from './oracle/detect-value.ts';

const ALL: readonly DetectorName[] = [
  ...(['card', 'ssn', 'email', 'iban', 'jwt', 'cloud-key', 'vcs-token', 'private-key'] as const),
  'url-password',
];
/** More by hand: HOOP_FUZZ_VALUES=2000000 HOOP_FUZZ_SEED=1 npx vitest run test/connectors/postgres/masking/candidates.test.ts */
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

  // The detectors read `\\x` as an escape up to `\\x7f`; the 4 behind `\\xa` is the card's.
  test.each([
    String.raw`\xa45391488034364%367`,
    String.raw`\xE45391488034364&#54;7`,
    String.raw`\xd453914880343646\x37`,
  ])('takes no escape for more than the detectors do: %s', (text) => {
    const bytes = Buffer.from(text);
    const json = Buffer.from(JSON.stringify({ text }));
    const candidates = new HitCandidates();
    expect(candidates.inText(bytes, 0, bytes.length) & CANDIDATE.card).toBe(CANDIDATE.card);
    expect(candidates.inJson(json, 0, json.length) & CANDIDATE.card).toBe(CANDIDATE.card);
    const how = { detectors: new Set(ALL), isText: () => false, isUtf8: true };
    const clean = valueWithoutHits(bytes, TYPE.text, 0, { ...how, counts: new Map() });
    expect(clean).toEqual(oracleWithoutHits(bytes, TYPE.text, 0, { ...how, counts: new Map() }));
    expect(Buffer.from(clean ?? []).toString()).toContain('[card]');
  });
});

function sameCounts(left: Map<string, number>, right: Map<string, number>): boolean {
  return left.size === right.size && [...left].every(([name, count]) => right.get(name) === count);
}

function shown(result: Uint8Array | null | undefined): string | null | undefined {
  return result instanceof Uint8Array ? Buffer.from(result).toString('latin1') : result;
}
