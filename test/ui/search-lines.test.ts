import { expect, test } from 'vitest';
import type { SearchHit } from '../../src/api/search.ts';
import { searchLines } from '../../src/ui/replay/search-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';

const hit: SearchHit = {
  session: '01890a5d-ac96-774b-bcce-b302099a8057',
  target: 'prod-db',
  principal: 'engineer@example.com',
  statement: '1.1',
  time: '2026-03-01T00:00:00.000Z',
  effect: 'refuse',
  code: 'HOOP_DENIED',
  verbs: ['drop'],
  touches: ['public.orders'],
};

test('facts of a hit that have no room go on below, whole', () => {
  const lines = (width: number | undefined, color: boolean): string[] =>
    searchLines([hit], { style: styleFor(color), width });
  expect(lines(80, false).slice(1)).toEqual(['    denied (HOOP_DENIED)', '    drop public.orders']);
  expect(lines(80, true)).toHaveLength(3);
  expect(lines(120, true)).toHaveLength(2);
  expect(lines(undefined, false)).toHaveLength(2);
});
