import { expect, test } from 'vitest';
import { LocalChannels } from '../../../../src/connectors/ssh/client/local-channels.ts';
import type { Ssh2Connection } from '../../../../src/connectors/ssh/client/ssh2-connection.ts';
import type { UpFrame } from '../../../../src/connectors/ssh/protocol/frame.ts';

test('names that every object has are requests and channels that nobody knows', () => {
  const answers: string[] = [];
  const told: (UpFrame | string)[] = [];
  const messages = {
    requestFailure: () => answers.push('failure'),
    channelOpenFail: (_channel: number, _reason: number, words: string) => answers.push(words),
  };
  const channels = new LocalChannels({
    // What the calls below need of it.
    connection: { messages } as unknown as Ssh2Connection,
    toGateway: (frame) => told.push(frame),
    gatewayHears: true,
    onNotCarried: (why) => told.push(why),
  });
  for (const name of ['constructor', '__proto__', 'toString']) {
    channels.fromClient({ type: 'global', name, wantReply: true });
    channels.fromClient({
      type: 'open',
      kind: name,
      sender: 1,
      window: 1,
      maxPacket: 1,
    });
  }
  expect(answers).toEqual(
    Array.from({ length: 3 }, () => ['failure', 'not carried by hoop']).flat(),
  );
  expect(told).toEqual([]);
});
