import { expect, test } from 'vitest';
import { showEvents } from '../../src/commands/gateway-events.ts';
import { silentIo } from '../cli/silent-io.ts';

test.each(['f5352b9b.0.w', 'f5352b9b', 'yesterday'])(
  '%s is refused as what it may be',
  async (since) => {
    await expect(showEvents(silentIo(), { since, newest: 50 })).rejects.toMatchObject({
      code: 'HOOP_USAGE',
      message: `"${since}" is neither a time nor a cursor for --since`,
      hint: expect.stringContaining('cursor'),
    });
  },
);
