import { expect, test } from 'vitest';
import { END_REASONS } from '../../src/recording/types.ts';
import { endError, endReason } from '../../src/tunnel/session-end.ts';

test('every reason that a gateway gives is kept, and an unknown one is not taken for one’s own close', () => {
  expect(END_REASONS.map(endReason)).toEqual(END_REASONS);
  const reason = endReason('quarantined');
  expect(reason).toBe('gateway_shutdown');
  expect(endError({ reason, message: 'the session is quarantined' })).toMatchObject({
    code: 'HOOP_SESSION_ENDED',
    message: 'the session is quarantined',
  });
});
