import type { DetectorName } from '../../policy/types.ts';

/** Sets of detectors that may find something, a bit each. */
export const CANDIDATE = {
  card: 1,
  ssn: 2,
  email: 4,
  iban: 8,
  jwt: 16,
  'cloud-key': 32,
  'vcs-token': 64,
  'private-key': 128,
  'url-password': 256,
} as const satisfies Record<DetectorName, number>;

/** Something for which only the detectors themselves can tell. */
export const ALL_CANDIDATES = 511;

export function candidateBits(detectors: Iterable<DetectorName>): number {
  let bits = 0;
  for (const name of detectors) bits |= CANDIDATE[name];
  return bits;
}
