/** Sessions against a gateway in this process and a real PostgreSQL; the client is the test's own. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/api/http.ts';
import { logout } from '../../../src/auth/logout.ts';
import { openGateway } from '../../../src/auth/open-gateway.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { uploadSession } from '../../../src/recording/client/upload-session.ts';
import { requestSession as requestSessionAsCli } from '../../../src/tunnel/request-session.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { CARRIERS } from '../carrier-pair.ts';
import { ENGINEERS, type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import {
  openCarrier,
  openSocket,
  requestSession,
  sessionRequest,
  TestSession,
} from '../test-session.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ target: postgres });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const USER = 'postgres';

describe('a session request', () => {
  test('is answered with certificate, limits, masks and the policy in force', async () => {
    const { reply, client } = await requestSession(bench, 'engineer', { reason: 'INC-7' });
    expect(reply).toMatchObject({
      policy: { commit: (await client.policy(bench.signal)).commit },
      target: { name: 'prod-db', kind: 'postgres', database: 'postgres', user: 'postgres' },
      masked: [{ column: 'public.customers.email', mask: 'full', inference: 'deny' }],
      limits: { maxTimeSeconds: 3600, idleTimeSeconds: 600, maxConnections: 2 },
      recording: 'full',
    });
    expect(Buffer.from(reply.saltKey, 'base64')).toHaveLength(32);
    expect(await client.session(reply.session, bench.signal)).toMatchObject({
      state: 'live',
      reason: 'INC-7',
    });
    await client.endSession(reply.session, bench.signal);
  });

  test.each([
    ['a target that is not there', { target: 'nope' }, 'HOOP_ACCESS_DENIED'],
    ['a target named like a prototype', { target: '__proto__' }, 'HOOP_ACCESS_DENIED'],
    ['another policy commit', { policyCommit: 'f'.repeat(40) }, 'HOOP_POLICY_MISMATCH'],
    ['a nonce of its own making', { serverNonce: 'AAAA' }, 'HOOP_PROOF_INVALID'],
    ['a wrong proof', { proof: Buffer.alloc(64).toString('base64') }, 'HOOP_PROOF_INVALID'],
    ['a proof that is no base64', { proof: '!' }, 'HOOP_PROOF_INVALID'],
    ['a key of 31 bytes', { clientKey: Buffer.alloc(31).toString('base64') }, 'HOOP_PROTOCOL'],
    [
      'somebody else’s key',
      { clientKey: Buffer.alloc(32, 7).toString('base64') },
      'HOOP_PROOF_INVALID',
    ],
  ])('with %s is refused', async (_what, changes, code) => {
    await expect(requestSession(bench, 'engineer', changes)).rejects.toMatchObject({ code });
  });

  test('a nonce is good for one session and for the login that asked for it', async () => {
    const engineer = await bench.client('engineer');
    const { sessionNonce } = await engineer.policy(bench.signal);
    await expect(requestSession(bench, 'dba', { serverNonce: sessionNonce })).rejects.toMatchObject(
      { code: 'HOOP_PROOF_INVALID' },
    );
    const { reply } = await requestSession(bench, 'engineer', { serverNonce: sessionNonce });
    await expect(
      requestSession(bench, 'engineer', { serverNonce: sessionNonce }),
    ).rejects.toMatchObject({ code: 'HOOP_PROOF_INVALID' });
    await engineer.endSession(reply.session, bench.signal);
  });

  test('someone without a policy gets nothing, in the words of a target that is not there', async () => {
    const denied = await requestSession(bench, 'auditor').catch((error: unknown) => error);
    expect(denied).toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
      message: 'no access to target "prod-db"',
    });
  });

  test('the fifty-first session of one person is refused', async () => {
    const client = await bench.client('dba');
    const sessions: TestSession[] = [];
    for (let count = 0; count < 50; count += 1) {
      // With its control channel: one without ends after 30 s, and on a busy machine fifty take longer.
      sessions.push(await TestSession.open(bench, 'dba'));
    }
    await expect(requestSession(bench, client)).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
    await Promise.all(
      sessions.flatMap((session) => [
        client.endSession(session.id, bench.signal),
        session.finish(),
      ]),
    );
    const { reply } = await requestSession(bench, client);
    await client.endSession(reply.session, bench.signal);
  });
});

describe.each(CARRIERS)('the channels, streams over %s', (kind) => {
  test('a stream before the control channel is refused', async () => {
    const { reply, client } = await requestSession(bench, 'engineer');
    const wanted = { session: reply.session, stream: 1, kind };
    await expect(openCarrier(bench, client, wanted)).rejects.toMatchObject({
      code: 'HOOP_PROTOCOL',
      message: expect.stringContaining('control channel'),
    });
    await client.endSession(reply.session, bench.signal);
  });

  test('somebody else’s session has no channels', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const dba = await bench.client('dba');
    await dba.whoami(bench.signal);
    await expect(openSocket(bench, dba, PATHS.control(session.id))).rejects.toThrow('404');
    const wanted = { session: session.id, stream: 1, kind };
    await expect(openCarrier(bench, dba, wanted)).rejects.toMatchObject({
      code: 'HOOP_SESSION_UNKNOWN',
    });
    await session.close();
  });

  test('a stream of another kind is refused', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const client = await bench.client('engineer');
    const wanted = { session: session.id, stream: 1, of: 'ssh', kind };
    await expect(openCarrier(bench, client, wanted)).rejects.toMatchObject({
      code: 'HOOP_PROTOCOL',
      message: expect.stringContaining('kind'),
    });
    await session.close();
  });

  test('there is one control channel, and each stream number is good once', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const client = await bench.client('engineer');
    await expect(openSocket(bench, client, PATHS.control(session.id))).rejects.toThrow('409');
    const stream = await session.openStream(1, kind);
    await expect(session.openStream(1, kind)).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
    await stream.startUp(USER, 'postgres');
    await stream.end();
    await session.message('streamEnd');
    await expect(session.openStream(1, kind)).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
    await session.close();
  });

  test('a connection beyond the limit is refused, and possible again when one has ended', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const first = await session.openStream(1, kind);
    await session.openStream(2, kind);
    await expect(session.openStream(3, kind)).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
    await first.startUp(USER, 'postgres');
    await first.end();
    await session.message('streamEnd');
    await session.openStream(4, kind);
    await session.close();
  });

  test('a message that is too large, or none at all, ends its stream and nothing else', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1, kind);
    await stream.startUp(USER, 'postgres');
    const zeros = Buffer.alloc(2 * 1024 * 1024);
    if (kind === 'multiplexed') {
      // It has no messages of its own; for the engine this is one of length 0.
      stream.send(zeros);
    } else {
      stream.carrier.send([zeros]);
    }
    await stream.closed;
    await session.message('streamEnd');
    const other = await session.openStream(2, kind);
    await other.startUp(USER, 'postgres');
    await other.end();
    await session.close();
  });

  test('nonsense on the control channel ends the session', async () => {
    const session = await TestSession.open(bench, 'engineer');
    session.control.send('{"type":"approve"}');
    expect((await session.message('closing')).reason).toBe('client_lost');
    await session.finish();
  });
});

describe.each(CARRIERS)('a session, streams over %s', (kind) => {
  test('answers, is agreed on, is uploaded and can be fetched', async () => {
    const session = await TestSession.open(bench, 'engineer', { reason: 'looking around' });
    const stream = await session.openStream(1, kind);
    await stream.startUp(USER, 'postgres');
    const reply = await stream.query("SELECT 'one'");
    expect(reply.find(([type]) => type === 'D')?.[1].toString()).toContain('one');
    const client = await bench.client('engineer');
    const live = await client.session(session.id, bench.signal);
    expect(live.state).toBe('live');
    expect(live.downBytes).toBeGreaterThan(100);
    await stream.end();
    await session.close();
    expect(session.evidence.map(({ type }) => type)).toEqual(['reason', 'closing']);

    expect(await client.session(session.id, bench.signal)).toMatchObject({
      state: 'ended',
      endReason: 'closed',
      statements: 1,
      denied: 0,
    });
    const receipt = await uploadSession({
      directory: session.spools,
      session: session.id,
      gateway: client,
      signal: bench.signal,
    });
    expect(receipt).toBeDefined();
    expect(await client.session(session.id, bench.signal)).toMatchObject({ state: 'uploaded' });

    const { status, headers, text } = await rawRequest(bench, {
      path: PATHS.bundle(session.id),
      as: 'engineer',
    });
    expect([status, headers['content-type']]).toEqual([200, 'application/x-tar']);
    expect(text).toContain('manifest.dsse');
    // Auditors may read it; others do not know that it exists.
    const auditor = await rawRequest(bench, { path: PATHS.bundle(session.id), as: 'auditor' });
    expect(auditor.status).toBe(200);
    const dba = await rawRequest(bench, { path: PATHS.bundle(session.id), as: 'dba' });
    expect(dba.status).toBe(404);
  });

  test('a refused statement is counted, told as evidence, and the connection goes on', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1, kind);
    await stream.startUp(USER, 'postgres');
    const refused = await stream.query('CREATE TABLE public.x (a int)');
    expect(refused.find(([type]) => type === 'E')?.[1].toString()).toContain('42501');
    const allowed = await stream.query("SELECT 'two'");
    expect(allowed.find(([type]) => type === 'D')?.[1].toString()).toContain('two');
    await stream.end();
    await session.close();
    expect(session.evidence.map(({ type }) => type)).toContain('denied');
    const client = await bench.client('engineer');
    expect(await client.session(session.id, bench.signal)).toMatchObject({
      statements: 2,
      denied: 1,
    });
  });

  test('a client that floods the control channel with evidence loses its session', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const closed = once(session.control, 'close');
    const line = Buffer.alloc(1000, '.');
    for (let sent = 0; sent < 16 << 20; sent += line.length) {
      session.control.send(line);
    }
    await closed;
    const client = await bench.client('engineer');
    const { upBytes } = await client.session(session.id, bench.signal);
    expect(upBytes).toBeLessThan(5 << 20);
    await session.recording.close();
  });

  test('its bundle cannot be had while it lives, nor can it be cut over HTTP', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const bundle = await rawRequest(bench, { path: PATHS.bundle(session.id), as: 'engineer' });
    expect([bundle.status, bundle.code]).toEqual([409, 'HOOP_VERIFY_INCOMPLETE']);
    const cut = { epoch: 0, streams: [], treeSize: 0, root: '', timeMs: 0, signature: '' };
    const posted = await rawRequest(bench, {
      method: 'POST',
      path: PATHS.cuts(session.id),
      as: 'engineer',
      body: JSON.stringify(cut),
    });
    expect(posted.status).toBe(409);
    await session.close();
  });

  test('ended by its owner from elsewhere it ends for the client at once, with the reason', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1, kind);
    await stream.startUp(USER, 'postgres');
    const fatal = stream.readUntil('E');
    const client = await bench.client('engineer');
    const revoked = client.endSession(session.id, bench.signal, { reason: 'lunch' });
    const report = (await fatal).at(-1)?.[1].toString();
    expect(report).toContain('FATAL');
    expect(report).toContain('57P01');
    expect(report).toContain('the hoop session was ended by its owner: lunch');
    await session.finish();
    expect(await revoked).toMatchObject({ session: session.id, endReason: 'closed' });
    expect(session.evidence.at(-1)).toMatchObject({
      type: 'closing',
      reason: 'closed',
      message: 'the hoop session was ended by its owner: lunch',
    });
    expect(await client.session(session.id, bench.signal)).toMatchObject({
      endMessage: 'the hoop session was ended by its owner: lunch',
    });
    await expect(client.endSession(session.id, bench.signal)).rejects.toMatchObject({
      code: 'HOOP_SESSION_ENDED',
    });
    await expect(session.openStream(2, kind)).rejects.toMatchObject({
      code: 'HOOP_SESSION_UNKNOWN',
    });
  });

  test('an approver may end it, an auditor and a colleague may not', async () => {
    const session = await TestSession.open(bench, 'engineer');
    for (const [as, status] of [
      // Who may see it is told so; to others it is not there.
      ['auditor', 403],
      ['devin', 404],
      ['dba', 200],
    ] as const) {
      const finished = status === 200 ? session.finish() : undefined;
      const request = { method: 'POST', path: PATHS.end(session.id), as } as const;
      expect((await rawRequest(bench, { ...request, body: '{"v":1}' })).status).toBe(status);
      await finished;
    }
    expect(session.evidence.at(-1)).toMatchObject({
      reason: 'revoked',
      message: expect.stringMatching(/^the hoop session was ended by dba/),
    });
  });

  test.each([
    [
      'half a character',
      'INC-\ud800',
      'It contains half of a surrogate pair, which is not a character.',
    ],
    ['more than is recorded', 'x'.repeat(2001), 'It is longer than 2000 characters.'],
  ])(
    'is not asked for with a reason of %s, and who asks is told',
    async (_what, reason, detail) => {
      const client = await bench.client('engineer');
      const { request } = await sessionRequest(bench, client);
      // As another client than ours would send it; ours has nothing to sign then.
      await expect(client.startSession({ ...request, reason }, bench.signal)).rejects.toMatchObject(
        {
          code: 'HOOP_USAGE',
          message: 'the reason cannot be recorded',
          detail,
        },
      );
    },
  );

  test('a reason that would act on somebody else’s terminal is refused', async () => {
    const session = await TestSession.open(bench, 'engineer');
    for (const reason of [
      '\u001b[2J',
      'a\nb',
      '\u009b31m',
      '\u202egnp',
      'x'.repeat(501),
      'INC-\ud800',
    ]) {
      const reply = await rawRequest(bench, {
        method: 'POST',
        path: PATHS.end(session.id),
        as: 'dba',
        body: JSON.stringify({ v: 1, reason }),
      });
      expect(reply.status).toBe(400);
    }
    await session.close();
  });

  test('an approver sees which sessions are live, and nothing of those that have ended', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const dba = await bench.client('dba');
    const ids = async (query: Readonly<Record<string, string>>) =>
      (await dba.sessions(query, bench.signal)).sessions.map(({ id }) => id);
    expect(await ids({ live: '1' })).toContain(session.id);
    expect(await ids({ live: '1', mine: '1' })).not.toContain(session.id);
    expect(await ids({})).not.toContain(session.id);
    await session.close();
    expect(await ids({ live: '1' })).not.toContain(session.id);
  });

  test('a client that goes away ends it as client_lost', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1, kind);
    await stream.startUp(USER, 'postgres');
    session.control.terminate();
    await once(stream.carrier, 'close');
    const client = await bench.client('engineer');
    await expect
      .poll(async () => (await client.session(session.id, bench.signal)).endReason)
      .toBe('client_lost');
  });
});

describe('a session ends', () => {
  const dba = ENGINEERS.replace('engineers', 'dba').replace('engineering, agents', 'dba');

  /** Puts other limits in force for the dba, who has a session of his own in the tests below. */
  async function limit(limits: string): Promise<void> {
    const client = await bench.client('dba');
    const before = (await client.policy(bench.signal)).commit;
    const text = dba.replace(/limits: .*/, `limits: { ${limits} }`);
    await bench.policy.commit({ files: { 'policies/dba.yaml': text }, message: limits });
    // The next session must not be asked for under the commit before.
    await expect.poll(async () => (await client.policy(bench.signal)).commit).not.toBe(before);
  }

  test.each([
    ['expired', 'maxTime: 1s', 'the policy ends a session after 1 s (limits.maxTime)'],
    ['idle', 'idleTime: 1s', 'the policy ends a session that is idle for 1 s (limits.idleTime)'],
  ])('as %s when its limit comes into force while it lives', async (reason, limits, words) => {
    const session = await TestSession.open(bench, 'dba');
    const stream = await session.openStream(1);
    await stream.startUp(USER, 'postgres');
    const fatal = stream.readUntil('E');
    await limit(limits);
    expect((await session.message('closing')).reason).toBe(reason);
    const report = (await fatal).at(-1)?.[1].toString();
    expect(report).toContain('57P01');
    expect(report).toContain(words);
    expect(report).toContain('Connect again: that opens a new session.');
    await session.finish();
    await limit('maxTime: 1h, idleTime: 10m, maxConnections: 2');
    const client = await bench.client('dba');
    expect(await client.session(session.id, bench.signal)).toMatchObject({ endReason: reason });
  });

  test('as revoked when its login is ended', async () => {
    const session = await TestSession.open(bench, 'devin');
    const client = await bench.client('devin');
    await logout({
      env: bench.environment('devin'),
      all: false,
      note: () => undefined,
      signal: bench.signal,
    });
    expect((await session.message('closing')).reason).toBe('revoked');
    await session.finish();
    await expect(client.whoami(bench.signal)).rejects.toMatchObject({
      code: expect.stringMatching(/^HOOP_/),
    });
  });

  test('as disputed when the client’s root is another, and the gateway signs alone', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1);
    await stream.startUp(USER, 'postgres');
    // What the client claims to have received is not what it was sent.
    session.recording.data(1, 1, [Buffer.from('x')]);
    const client = await bench.client('engineer');
    session.control.send(JSON.stringify({ type: 'close' }));
    const closing = await session.message('closing');
    expect(closing.reason).toBe('closed');
    await stream.closed;
    session.recording.finish(bench.signal).catch(() => undefined);
    await once(session.control, 'close');
    const { endReason, state } = await client.session(session.id, bench.signal);
    expect([endReason, state]).toEqual(['disputed', 'disputed']);
    await expect
      .poll(async () => {
        const bundle = { path: PATHS.bundle(session.id), as: 'auditor' };
        return (await rawRequest(bench, bundle)).status;
      })
      .toBe(200);
  });
});

describe('a policy change', () => {
  test('is in force for live sessions without a new connection', async () => {
    const session = await TestSession.open(bench, 'dba');
    const stream = await session.openStream(1);
    await stream.startUp(USER, 'postgres');
    const before = await stream.query("SELECT 'x'");
    expect(before.some(([type]) => type === 'D')).toBe(true);
    const dba = ENGINEERS.replace('engineers', 'dba').replace('engineering, agents', 'dba');
    await bench.policy.commit({
      files: { 'policies/dba.yaml': dba.replace('verbs: [select]', 'verbs: [insert]') },
      message: 'no more reading',
    });
    await expect
      .poll(async () => (await stream.query("SELECT 'x'")).some(([type]) => type === 'E'))
      .toBe(true);
    await bench.policy.commit({ files: { 'policies/dba.yaml': dba }, message: 'back' });
    await expect
      .poll(async () => (await stream.query("SELECT 'x'")).some(([type]) => type === 'D'))
      .toBe(true);
    await stream.end();
    await session.close();
  });

  test('that comes while a session is asked for makes the CLI ask again', async () => {
    const env = bench.environment('engineer');
    await using open = await openGateway({ env });
    const { client } = open;
    let overtaken = false;
    const requested = await requestSessionAsCli({
      ...open,
      client: {
        info: (signal) => client.info(signal),
        policyBundle: (signal) => client.policyBundle(signal),
        startSession: (request, signal) => client.startSession(request, signal),
        policy: async (signal) => {
          const reply = await client.policy(signal);
          if (!overtaken) {
            overtaken = true;
            await bench.policy.commit({ files: { 'README.md': 'new' }, message: 'in between' });
            await expect
              .poll(async () => (await client.policy(signal)).commit)
              .not.toBe(reply.commit);
          }
          return reply;
        },
      },
      env,
      target: 'prod-db',
      reason: undefined,
      version: '0.0.0-test',
      signal: bench.signal,
    });
    expect(requested.policy.commit).toBe((await client.policy(bench.signal)).commit);
    await client.endSession(requested.reply.session, bench.signal);
  });

  test('that takes the access away ends the session as revoked', async () => {
    const session = await TestSession.open(bench, 'dba');
    const dba = ENGINEERS.replace('engineers', 'dba').replace('engineering, agents', 'dba');
    await bench.policy.commit({
      files: { 'policies/dba.yaml': undefined },
      message: 'dba has no business here',
    });
    expect((await session.message('closing')).reason).toBe('revoked');
    await session.finish();
    await bench.policy.commit({ files: { 'policies/dba.yaml': dba }, message: 'back' });
    const client = await bench.client('dba');
    await expect.poll(async () => (await client.targets(bench.signal)).targets.length).toBe(1);
  });

  test('that is not signed is reported, and the last good commit stays', async () => {
    const client = await bench.client('engineer');
    const before = await client.policy(bench.signal);
    await bench.policy.commit({
      files: { 'policies/evil.yaml': ENGINEERS.replace('engineers', 'evil') },
      message: 'unsigned',
      unsigned: true,
    });
    await expect.poll(async () => (await client.policy(bench.signal)).problem).toBeDefined();
    expect((await client.policy(bench.signal)).commit).toBe(before.commit);
    const { reply } = await requestSession(bench, 'engineer');
    await client.endSession(reply.session, bench.signal);
  });
});

describe('a WebSocket for one stream', () => {
  test.each([
    ['number 0', 'stream=0&kind=postgres'],
    ['no number', 'kind=postgres'],
    ['a fraction', 'stream=1.5&kind=postgres'],
    ['a number beyond u32', 'stream=4294967296&kind=postgres'],
    ['no kind', 'stream=1'],
  ])('with %s is refused', async (_what, query) => {
    const session = await TestSession.open(bench, 'engineer');
    const client = await bench.client('engineer');
    const path = `${PATHS.streams(session.id)}?${query}`;
    await expect(openSocket(bench, client, path)).rejects.toThrow('400');
    await session.close();
  });
});
