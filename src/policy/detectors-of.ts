/** Which detectors hold where several policies do: what one of them masks no other one only counts. */
import type { PolicyContent } from './policy.ts';
import type { Grant } from './types.ts';

type Detecting = Pick<PolicyContent, 'detectors' | 'observed'>;

export function detectorsOf(all: readonly Detecting[]): Pick<Grant, 'detectors' | 'observed'> {
  const detectors = [...new Set(all.flatMap((one) => one.detectors))].sort();
  const observed = [...new Set(all.flatMap((one) => one.observed ?? []))]
    .filter((name) => !detectors.includes(name))
    .sort();
  return observed.length === 0 ? { detectors } : { detectors, observed };
}
