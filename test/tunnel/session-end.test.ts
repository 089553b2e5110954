import { expect, test } from 'vitest';
import { HoopError } from '../../src/errors.ts';
import { END_REASONS } from '../../src/recording/formats/types.ts';
import { endError } from '../../src/recording/write/end-error.ts';
import { RecordingStopped, stoppedByWrite } from '../../src/recording/write/recording-stopped.ts';
import { endOfRecording, endReason } from '../../src/tunnel/session-end.ts';

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
  expect(hint).toMatch(/`hoop (connect NAME|targets)`|Tell whoever runs the gateway/);
  if (reason === 'client_lost') expect(hint).toContain('load, disk and network');
});

test('a recording that stops here ends the session for its own reason, and names this machine only where that is at fault', () => {
  const full = stoppedByWrite(new HoopError('HOOP_DISK_FULL', 'the disk is full'));
  const broken = stoppedByWrite(new HoopError('HOOP_RECORDING_WRITE', 'no file'));
  const halted = (['disputed', 'client_lost'] as const).map(
    (reason) => new RecordingStopped(reason, 'HOOP_EVIDENCE_MISMATCH', 'the gateway is silent'),
  );
  expect([full, broken, ...halted, undefined].map(endOfRecording)).toEqual([
    { reason: 'disk_full', message: 'on this machine: the disk is full' },
    { reason: 'recording_failed', message: 'on this machine: no file' },
    { reason: 'disputed', message: 'the gateway is silent' },
    { reason: 'client_lost', message: 'the gateway is silent' },
    { reason: 'recording_failed', message: 'on this machine: the recording stopped' },
  ]);
});
