import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { SCAN_LOT, scanRecording } from '../../src/recording/ended/scan-recording.ts';
import * as frame from '../../src/recording/formats/frame.ts';
import { loadRecordingKeys } from '../../src/recording/keys/recording-keys.ts';
import { RecordingBench, SessionPair } from './session-pair.ts';

// As it is, and counted.
vi.mock('../../src/recording/formats/frame.ts', { spy: true });

test('a long recording is checked in lots, and others have their turn between them', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  for (let at = 0; at < 10 * SCAN_LOT.frames; at += 1) {
    pair.down(1, Buffer.from(`row ${at}`));
    // A frame for each turn.
    await (pair.gateway.backpressure() ?? nextTurn());
  }
  await pair.end();
  const { directory } = pair.gateway;
  const { dataKey } = loadRecordingKeys(bench.store.keysDir, pair.session);
  const opened = vi.mocked(frame.openFrame).mock.calls;
  const before = opened.length;
  let isOver = false;
  const scanned = scanRecording({ directory, session: pair.session, dataKey });
  const over = scanned.finally(() => {
    isOver = true;
  });
  const perTurn: number[] = [];
  for (let seen = before; !isOver; seen = opened.length) {
    await nextTurn();
    perTurn.push(opened.length - seen);
  }
  const { frames } = await over;
  expect(opened.length - before).toBe(frames);
  expect(frames).toBeGreaterThan(5 * SCAN_LOT.frames);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(SCAN_LOT.frames);
});
