import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TargetReading } from '../../../../src/connectors/ssh/gateway/target-reading.ts';

const MESSAGE = 36;
const CHUNK = 64 * 1024;

/** A socket, and what opens messages of what is read from it as ssh2 does, until the turn is over. */
function opened() {
  const socket = Object.assign(new EventEmitter(), {
    destroyed: false,
    isReading: true,
    pause: () => {
      socket.isReading = false;
    },
    resume: () => {
      socket.isReading = true;
    },
  });
  const reading = new TargetReading(socket as never);
  const bytes: number[] = [];
  let messages = 0;
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      bytes.push(...chunk.subarray(at, at + MESSAGE));
      messages += 1;
      at += MESSAGE;
      reading.messageOpened();
      if (reading.isOver && at < chunk.length) {
        reading.putBack(chunk.subarray(at));
        return;
      }
    }
  });
  return { socket, reading, bytes, messages: () => messages };
}

test('of a flood a turn opens some hundred messages, in their order, and reads no more until they are', async () => {
  const { socket, reading, bytes, messages } = opened();
  const flood = Buffer.from(Array.from({ length: CHUNK }, (_, index) => index % 251));
  reading.received(flood);
  let before = 0;
  while (bytes.length < flood.length) {
    expect(messages() - before).toBeLessThanOrEqual(512);
    expect(socket.isReading).toBe(false);
    before = messages();
    await nextTurn();
  }
  expect(Buffer.from(bytes).equals(flood)).toBe(true);
  await nextTurn();
  expect(socket.isReading).toBe(true);
});

test('what was read before whoever it goes to took no more waits until it takes more', async () => {
  const { socket, reading, bytes } = opened();
  reading.received(Buffer.alloc(CHUNK));
  reading.pause();
  const opened1 = bytes.length;
  await nextTurn();
  await nextTurn();
  expect(bytes).toHaveLength(opened1);
  expect(socket.isReading).toBe(false);
  reading.resume();
  while (bytes.length < CHUNK) await nextTurn();
  await nextTurn();
  expect(socket.isReading).toBe(true);
});

test('who sends in bulk is not held up', () => {
  const { socket, reading } = opened();
  socket.removeAllListeners('data').on('data', () => {
    for (let packets = 0; packets < 8; packets += 1) reading.messageOpened();
  });
  reading.received(Buffer.alloc(256 * 1024));
  expect(socket.isReading).toBe(true);
});
