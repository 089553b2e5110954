import { expect, test } from 'vitest';
import { endError } from '../../src/recording/end-error.ts';
import { END_REASONS } from '../../src/recording/types.ts';
import { endReason } from '../../src/tunnel/session-end.ts';

test('every reason that a gateway gives is kept, and an unknown one is not taken for one’s own close', () => {
  expect(END_REASONS.map(endReason)).toEqual(END_REASONS);
  const reason = endReason('quarantined');
  expect(reason).toBe('gateway_shutdown');
  expect(endError({ reason, message: 'the session is quarantined' })).toMatchObject({
    code: 'HOOP_SESSION_ENDED',
    message: 'the session is quarantined',
  });
});

test.each(END_REASONS)('whoever reads that a session ended (%s) reads what to do', (reason) => {
  const { message, hint } = endError({ reason, message: 'why, and by whom' });
  expect(message).toBe('why, and by whom');
  expect(hint).toMatch(/`hoop (connect|targets)`|Tell whoever runs the gateway/);
});
