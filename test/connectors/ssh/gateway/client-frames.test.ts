import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ClientFrames } from '../../../../src/connectors/ssh/gateway/client-frames.ts';
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import { HeldTurns } from '../../../../src/recording/write/held-turns.ts';

const KIBIBYTE = Buffer.alloc(1024);

function opened(onFrame: () => void = () => undefined) {
  const known = Promise.withResolvers<void>();
  const lease = { isHeld: true, whenHeld: () => known.promise };
  const turns = {
    write: () => undefined,
    whenWritten: (forward: () => void) => void setImmediate(forward),
  };
  const audit = new HeldTurns(turns, lease, new AbortController().signal);
  const client = new PassThrough({ highWaterMark: 1024 });
  let faults = 0;
  const frames = new ClientFrames({
    client: client as never,
    audit: audit as never,
    onFrame,
    onIdle: () => undefined,
    onLeft: () => undefined,
    onFault: () => {
      faults += 1;
    },
  });
  return { known, lease, client, frames, faults: () => faults };
}

/** @returns KiB that were taken of 1,024 */
async function taken(client: PassThrough): Promise<number> {
  let sent = 0;
  while (sent < 1024 && client.write(KIBIBYTE)) {
    sent += 1;
    await nextTurn();
  }
  return sent;
}

test('while nobody knows whose the recording is, no more of the client is collected', async () => {
  const { known, lease, client, frames } = opened();
  lease.isHeld = false;
  client.write(KIBIBYTE);
  await nextTurn();
  expect(client.isPaused()).toBe(true);
  // Somebody else is ready for more, and does not know of it.
  frames.resume();
  expect(await taken(client)).toBeLessThan(4);
  lease.isHeld = true;
  known.resolve();
  await nextTurn();
  expect(client.isPaused()).toBe(false);
});

test('what came before the lease was known is dealt with when it is', async () => {
  const { known, lease, client, faults } = opened();
  lease.isHeld = false;
  // A frame of no kind.
  client.write(Buffer.alloc(64, 0xff));
  await nextTurn();
  await nextTurn();
  expect(faults()).toBe(0);
  lease.isHeld = true;
  known.resolve();
  await nextTurn();
  await nextTurn();
  expect(faults()).toBe(1);
});

test('with the lease, a client is read on', async () => {
  const { client } = opened();
  client.write(Buffer.alloc(3));
  await nextTurn();
  expect(client.isPaused()).toBe(false);
});

test('of thousands of frames some hundred are dealt with in a turn', async () => {
  let [inTurn, total] = [0, 0];
  const { client } = opened(() => {
    inTurn += 1;
    total += 1;
  });
  const [window = new Uint8Array()] = encodeFrame({ type: 'window', channel: 0, bytes: 1 });
  client.write(Buffer.concat(Array.from({ length: 5_000 }, () => window)));
  while (total < 5_000) {
    inTurn = 0;
    await nextTurn();
    expect(inTurn).toBeLessThanOrEqual(512);
  }
});
