import type { DetectorName } from '../policy/types.ts';
import { withoutHits } from './detect-text.ts';

/** @param detectors names that no finder has find nothing. @returns `[card]` and the like for what they find */
export function redactedText(text: string, detectors: readonly string[]): string {
  const names: ReadonlySet<string> = new Set(detectors);
  return withoutHits(text, names as ReadonlySet<DetectorName>, new Map()) ?? text;
}
