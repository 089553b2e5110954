import type { LostRange } from './manifest.ts';
import type { Direction, StreamOffsets } from './types.ts';

/** How far each stream goes; 0 for one that is not known. */
type Ends = (stream: number, direction: Direction) => number;

export function endsOf(offsets: readonly StreamOffsets[], lost: readonly LostRange[] = []): Ends {
  const ends = new Map<number, number>();
  const reach = (stream: number, direction: Direction, to: number): void => {
    const key = 2 * stream + direction;
    ends.set(key, Math.max(ends.get(key) ?? 0, to));
  };
  for (const { stream, up, down } of offsets) {
    reach(stream, 0, up);
    reach(stream, 1, down);
  }
  for (const { stream, direction, to } of lost) {
    reach(stream, direction, to);
  }
  return (stream, direction) => ends.get(2 * stream + direction) ?? 0;
}
