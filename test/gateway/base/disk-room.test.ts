import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PATHS } from '../../../src/api/http.ts';
import { DiskRoom } from '../../../src/gateway/base/disk-room.ts';
import { collectLog } from '../collect-log.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import { requestSession, TestSession } from '../test-session.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = await startGatewayBench({ isPolicyFixed: true });
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

test('with less than a tenth of the disk free no session begins, and live ones go on', async () => {
  const live = await TestSession.open(bench, 'engineer');
  bench.disk.freePercent = 9.9;
  await expect(requestSession(bench, 'engineer')).rejects.toMatchObject({
    code: 'HOOP_DISK_FULL',
    hint: expect.stringContaining('recording.minFreePercent'),
  });
  const ready = await rawRequest(bench, { path: PATHS.ready });
  expect([ready.status, JSON.parse(ready.text).reasons]).toEqual([
    503,
    ['the disk has too little space for new sessions'],
  ]);
  const client = await bench.client('engineer');
  expect(await client.session(live.id, bench.signal)).toMatchObject({ state: 'live' });
  // It goes on by itself when there is room again.
  bench.disk.freePercent = 10;
  await requestSession(bench, 'engineer');
  await live.close();
});

test('live sessions end before the disk is full: told why, cut and closed in order', async () => {
  const session = await TestSession.open(bench, 'engineer');
  bench.disk.freePercent = 1.9;
  expect(await session.message('closing')).toMatchObject({
    reason: 'disk_full',
    message: 'the gateway has too little room left to record',
  });
  await session.finish();
  const client = await bench.client('engineer');
  expect(await client.session(session.id, bench.signal)).toMatchObject({
    state: 'ended',
    endReason: 'disk_full',
  });
});

test('the system is asked about the directory itself, and a disk that cannot be asked takes no session', () => {
  const { log, events } = collectLog();
  const real = new DiskRoom({ directory: tmpdir(), minFreePercent: 0.001, log });
  expect([real.hasRoom, real.isNearlyFull]).toEqual([true, false]);
  const gone = new DiskRoom({ directory: '/no/such/place', minFreePercent: 10, log });
  expect([gone.hasRoom, gone.isNearlyFull]).toEqual([false, false]);
  expect(() => gone.checkForSession()).toThrow(expect.objectContaining({ code: 'HOOP_DISK_FULL' }));
  expect(events.map(({ event }) => event)).toContain('disk.unknown');
  const off = new DiskRoom({ directory: tmpdir(), minFreePercent: 0, freePercent: () => 0, log });
  expect([off.hasRoom, off.isNearlyFull]).toEqual([true, false]);
});
