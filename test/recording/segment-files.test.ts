import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Direction } from '../../src/recording/formats/types.ts';
import { LeafAhead } from '../../src/recording/write/leaf-ahead.ts';
import { SegmentFiles } from '../../src/recording/write/segment-files.ts';
import { segmentName } from '../../src/recording/write/segment-writer.ts';
import { SessionWriter } from '../../src/recording/write/session-writer.ts';
import { newSessionId } from '../../src/session-id.ts';

test('a group of many records is decrypted once, and not for each of them again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-segment-files-'));
  const dataKey = randomBytes(32);
  const writer = new SessionWriter({
    directory,
    session: newSessionId(Date.now(), randomBytes(16)),
    dataKey,
    leaves: new LeafAhead(createSecretKey(randomBytes(32))),
    onFailure: (error) => expect.unreachable(error.message),
    stopped: new AbortController().signal,
    onForwardFailed: (error) => expect.unreachable(String(error)),
    onRecorded: () => undefined,
  });
  writer.openStream(1, 'postgres');
  writer.openStream(2, 'postgres');
  for (let at = 0; at < 100; at += 1) {
    writer.data(1, 0, [Uint8Array.of(at)]);
    writer.data(2, 1, [Uint8Array.of(100 + at)]);
  }
  await writer.sync();
  const places = ([1, 2] as const).map((stream) => {
    const direction: Direction = stream === 1 ? 0 : 1;
    return { stream, direction, frames: writer.index.slice(stream, direction, 0, 100) };
  });
  await writer.close();
  {
    using files = new SegmentFiles(directory, dataKey);
    const bytes = places.map(({ stream, direction, frames }) =>
      frames.offsets.map((offset, index) => {
        const [segment = 0, position = 0] = [frames.segments[index], frames.positions[index]];
        const [byte] = files.readData(segment, position, { stream, direction, offset });
        return byte;
      }),
    );
    expect(bytes).toEqual([
      Array.from({ length: 100 }, (_, at) => at),
      Array.from({ length: 100 }, (_, at) => 100 + at),
    ]);
    // Whatever becomes of the file: the rest of the group is in memory.
    await truncate(join(directory, segmentName(1)), 0);
    const [segment = 0] = places[0]?.frames.segments ?? [];
    const [position = 0] = places[0]?.frames.positions ?? [];
    const again = { stream: 1, direction: 0 as const };
    expect([...files.readData(segment, position, { ...again, offset: 7 })]).toEqual([7]);
    expect(() => files.readData(segment, position, { ...again, offset: 100 })).toThrow(
      'a group does not have the data',
    );
  }
  await rm(directory, { recursive: true });
});
