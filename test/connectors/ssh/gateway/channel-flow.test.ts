import { expect, test } from 'vitest';
import { ChannelFlow } from '../../../../src/connectors/ssh/gateway/channel-flow.ts';
import type { DownFrame } from '../../../../src/connectors/ssh/protocol/frame.ts';

test('credit that comes while a frame is written sends no byte twice', () => {
  const written: DownFrame[] = [];
  const credit = [40, 10, 200];
  const flow = new ChannelFlow({
    number: 0,
    window: 50,
    write: (frame) => {
      written.push(frame);
      const [bytes] = credit.splice(0, 1);
      if (bytes !== undefined) {
        flow.granted(bytes);
      }
    },
    isTargetFull: () => false,
  });
  const sent = Buffer.from(Array.from({ length: 200 }, (_, at) => at));
  flow.send({ type: 'data', channel: 0, data: sent });
  flow.send({ type: 'close', channel: 0 });
  const data = written.flatMap((frame) => (frame.type === 'data' ? [frame.data] : []));
  expect(Buffer.concat(data)).toEqual(sent);
  expect(written.at(-1)).toEqual({ type: 'close', channel: 0 });
  expect(flow.totals.down).toBe(200);
});
