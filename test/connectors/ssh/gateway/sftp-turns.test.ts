import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { SftpInspector } from '../../../../src/connectors/ssh/gateway/sftp/sftp-inspector.ts';
import { PacketScanner } from '../../../../src/connectors/ssh/protocol/sftp/packet-scanner.ts';
import { REQUEST, STATUS } from '../../../../src/connectors/ssh/protocol/sftp/packet-types.ts';
import { encodeReply, encodeVersion } from '../../../../src/connectors/ssh/protocol/sftp/reply.ts';
import { encodeInit, encodeRequest } from '../../../../src/connectors/ssh/protocol/sftp/request.ts';
import { refuse } from './sftp-harness.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text);
const DEEP = utf8(`/srv${'/a'.repeat(2000)}`);

/** An inspector that has said hello to a target that says nothing but that it knows nothing. */
async function greeted() {
  /** Of whatever an inspector does: how much of it since others had a turn, and at most. */
  const count = { decided: 0, answered: 0, inTurn: 0, most: 0 };
  const counted = (what: 'decided' | 'answered'): void => {
    count[what] += 1;
    count.inTurn += 1;
    count.most = Math.max(count.most, count.inTurn);
    setImmediate(() => {
      count.inTurn = 0;
    });
  };
  const scanner = new PacketScanner(() => 'whole');
  const inspector: SftpInspector = new SftpInspector({
    targetSoftware: 'OpenSSH_9.2p1',
    toTarget: (bytes) => {
      scanner.feed(bytes);
      for (let item = scanner.next(); item !== undefined; item = scanner.next()) {
        if (item.kind !== 'packet') continue;
        const { type, id } = item;
        if (type === REQUEST.init) setImmediate(() => inspector.fromTarget(encodeVersion(3, [])));
        else if (type === REQUEST.realpath) {
          const reply = { type: 'status', code: STATUS.failure, message: 'no' } as const;
          setImmediate(() => inspector.fromTarget(encodeReply(id, reply)));
        }
      }
      return true;
    },
    toClient: () => {
      counted('answered');
      return true;
    },
    toStderr: () => undefined,
    consumed: () => undefined,
    clientEnded: () => undefined,
    decide: () => {
      counted('decided');
      return refuse('no');
    },
    record: () => undefined,
    fail: (error) => {
      throw error;
    },
  });
  inspector.fromClient(encodeInit(3), 0);
  while (count.answered === 0) await nextTurn();
  Object.assign(count, { decided: 0, answered: 0, inTurn: 0, most: 0 });
  return { inspector, count };
}

const requests = (length: number, make: (id: number) => Uint8Array): Uint8Array =>
  Buffer.concat(Array.from({ length }, (_, at) => make(at + 1)));

describe('others have their turn', () => {
  test('between two paths that are refused without a question to the target', async () => {
    const { inspector, count } = await greeted();
    const stat = (id: number) => encodeRequest(id, { type: 'stat', path: DEEP });
    inspector.fromClient(requests(200, stat), 0);
    while (count.answered < 200) await nextTurn();
    expect(count).toMatchObject({ decided: 200, answered: 200 });
    // The decision, and its answer.
    expect(count.most).toBeLessThanOrEqual(2);
  });

  test('between requests of which no path is decided', async () => {
    const { inspector, count } = await greeted();
    const read = { type: 'read', handle: utf8('none'), offset: 0n, length: 1 } as const;
    inspector.fromClient(
      requests(2000, (id) => encodeRequest(id, read)),
      0,
    );
    while (count.answered < 2000) await nextTurn();
    expect(count.answered).toBe(2000);
    expect(count.most).toBeLessThanOrEqual(64);
  });
});
