/** A session on a real server through a gateway: recorded, shown, found, ended by somebody else. */
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION } from '../../../../src/api/http.ts';
import { SEARCH_PATH, SearchReply } from '../../../../src/api/search.ts';
import { jsonBody } from '../../../../src/client/gateway-client.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { bytesSource } from '../../../../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../../../../src/recording/client/upload-session.ts';
import { readSession } from '../../../../src/recording/ended/read-session.ts';
import { verifyBundle } from '../../../../src/recording/verify/verify.ts';
import type { GatewayBench } from '../../../gateway/gateway-bench.ts';
import { buildTimeline } from '../../../replay/timeline.ts';
import { SshGatewayBench } from './ssh-gateway-bench.ts';

let servers: SshGatewayBench;
let bench: GatewayBench;

describe.skipIf(findSshd() === undefined)('a session on a server', () => {
  beforeAll(async () => {
    servers = await SshGatewayBench.start();
    bench = servers.gateway;
  });
  afterAll(async () => {
    await servers?.[Symbol.asyncDispose]();
  });

  test('is verified two-sided, shown with what was done, and found by its command', async () => {
    const { session, stream, client } = await servers.begin('echo ripe apricot');
    client.send({ type: 'eof', channel: 0 });
    await client.until('close');
    client.send({ type: 'close', channel: 0 });
    stream.carrier.end(1000);
    await stream.closed;
    await session.close();
    const engineer = await bench.client('engineer');
    await uploadSession({
      directory: session.spools,
      session: session.id,
      gateway: engineer,
      signal: bench.signal,
    });
    const shown = await engineer.session(session.id, bench.signal);
    expect(shown).toMatchObject({ kind: 'ssh', statements: 1, denied: 0, acts: { exec: 1 } });
    const body = jsonBody({ v: API_VERSION, limit: 10, text: 'Apricot' });
    const request = { method: 'POST', path: SEARCH_PATH, body } as const;
    const found = await engineer.json(SearchReply, request, bench.signal);
    expect(found.hits).toMatchObject([
      { session: session.id, target: 'web-1', statement: '1.1', effect: 'allow', verbs: ['exec'] },
    ]);
    expect(found.hits[0]?.excerpt).toMatchObject({
      in: 'text',
      before: 'echo ripe ',
      match: 'apricot',
    });
    const bundle = await buffer(await engineer.bundle(session.id, bench.signal));
    const source = bytesSource(bundle);
    const { rootKey, gateway } = await engineer.info(bench.signal);
    const root = { gateway, rootKey: Buffer.from(rootKey, 'base64'), keyringVersion: 0 };
    const verified = verifyBundle(source, { roots: [root], nowMs: Date.now() });
    expect(verified.verdict).toBe('verified (two-sided, not logged)');
    const acts = [...buildTimeline(readSession(source).timeline())];
    expect(acts.filter(({ type }) => type === 'statement')).toMatchObject([
      {
        text: 'echo ripe apricot',
        outcome: 'ok',
        channel: { text: 'ripe apricot\n', exit: { status: 0 } },
      },
    ]);
  });

  test('ends with its open command when an approver kills it, and says who and why', async () => {
    const { session, stream } = await servers.begin('sleep 600');
    const dba = await bench.client('dba');
    const killed = dba.endSession(session.id, bench.signal, { reason: 'INC-7' });
    await stream.closed;
    await session.finish();
    const endMessage = 'the hoop session was ended by dba@example.com: INC-7';
    expect(await killed).toMatchObject({ endReason: 'revoked', endMessage });
    expect(session.evidence.at(-1)).toMatchObject({
      type: 'closing',
      reason: 'revoked',
      message: endMessage,
    });
    const auditor = await bench.client('auditor');
    await expect(auditor.endSession(session.id, bench.signal)).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
    });
  });
});
