import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION, PATHS } from '../../../src/api/http.ts';
import { logout } from '../../../src/auth/logout.ts';
import { ApprovalsClient } from '../../../src/client/approvals-client.ts';
import { createDpopProof, generateDpopKey, thumbprintOf } from '../../../src/client/dpop-key.ts';
import type { GatewayClient } from '../../../src/client/gateway-client.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import { clientWith, startRun } from '../run-client.ts';
import { openSocket, requestSession, sessionRequest, TestSession } from '../test-session.ts';

const NO_SESSION = '01890a5d-ac96-774b-bcce-b302099a8057';

let bench: GatewayBench;
let engineer: GatewayClient;
beforeAll(async () => {
  bench = await startGatewayBench();
  engineer = await bench.client('engineer');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('a run', () => {
  test('has a login of its own, for the same person, without roles', async () => {
    await using run = await startRun(bench, await bench.client('dba'));
    const who = await run.client.whoami(bench.signal);
    expect(who).toMatchObject({ kind: 'person', run: { id: run.reply.run }, roles: [] });
    expect(who.groups).toContain('dba');
    const person = await (await bench.client('dba')).whoami(bench.signal);
    expect([who.sub, who.expiresAt]).toEqual([person.sub, person.expiresAt]);
    expect(person.run).toBeUndefined();
  });

  test.each(['engineer', 'dba'] as const)(
    'of %s is told at its start what it would be answered, nested too',
    async (name) => {
      const person = await bench.client(name);
      await using outer = await startRun(bench, person);
      await using inner = await startRun(bench, outer.client);
      const pairs = [
        [outer, person],
        [inner, outer.client],
      ] as const;
      for (const [{ client, reply }, parent] of pairs) {
        expect(reply.whoami).toEqual(await client.whoami(bench.signal));
        expect(reply.whoami.roles).toEqual([]);
        expect(reply.reachable).toEqual(await client.targets(bench.signal));
        const { requestable } = await new ApprovalsClient(parent).access(bench.signal);
        expect(reply.requestable).toEqual(requestable);
      }
    },
  );

  test('reads what it needs, and opens, sees and ends sessions of its own', async () => {
    const command = ['/opt/Tools/report.py', '--password', 'hunter2'];
    await using run = await startRun(bench, engineer, { reason: 'INC-9', command });
    const { targets } = await run.client.targets(bench.signal);
    expect(targets.map(({ name }) => name)).toEqual(['prod-db']);
    expect((await run.client.policyBundle(bench.signal)).length).toBeGreaterThan(0);
    const session = await TestSession.open(bench, run.client);
    const listed = await run.client.sessions({}, bench.signal);
    expect(listed.sessions).toMatchObject([
      { id: session.id, run: run.reply.run, reason: 'INC-9', principal: 'engineer@example.com' },
    ]);
    const ended = run.client.endSession(session.id, bench.signal);
    await session.finish();
    expect(await ended).toMatchObject({ endReason: 'closed' });
    expect(await run.client.position(session.id, bench.signal)).toMatchObject({ state: 'sealed' });
    const shown = await engineer.session(session.id, bench.signal);
    // The name of the program; its arguments hold secrets.
    expect(shown).toMatchObject({ run: run.reply.run, program: 'report.py' });
    expect(bench.log.events).toContainEqual(
      expect.objectContaining({ run: run.reply.run, program: 'report.py' }),
    );
    expect(JSON.stringify([shown, bench.log.events])).not.toMatch(/hunter2|\/opt\/Tools/);
  });

  test('of a program whose name is no whole text opens sessions, and its reason must be one', async () => {
    for (const [name, kept] of [
      ['\ud800', '\ufffd'],
      [`${'a'.repeat(254)}\u{1f600}`, `${'a'.repeat(254)}\ufffd`],
    ] as const) {
      await using run = await startRun(bench, engineer, { command: [name] });
      const { reply } = await requestSession(bench, run.client);
      const shown = await engineer.session(reply.session, bench.signal);
      expect(shown).toMatchObject({ program: kept });
    }
    await expect(startRun(bench, engineer, { reason: '\ud800' })).rejects.toMatchObject({
      code: 'HOOP_USAGE',
      message: 'the reason cannot be recorded',
    });
  });

  test('can be made in a run, and is linked to it', async () => {
    await using outer = await startRun(bench, engineer, { reason: 'INC-9' });
    await using inner = await startRun(bench, outer.client);
    expect(inner.reply.parent).toBe(outer.reply.run);
    const session = await TestSession.open(bench, inner.client);
    const { run, parent } = inner.reply;
    expect(await inner.client.session(session.id, bench.signal)).toMatchObject({
      ...{ reason: 'INC-9', run, parentRun: parent },
    });
    await session.close();
  });

  test('reaches the targets that it was started for, and what is inside it no others', async () => {
    await using own = await startGatewayBench();
    const target = 'name: test-db\nkind: postgres\ndatabase: postgres\ncredential: prod-db\n';
    const policy =
      'name: both\nwho: { groups: [engineering] }\ntargets: { names: [test-db] }\nstatements: anything\n';
    const files = { 'targets/test-db.yaml': target, 'policies/both.yaml': policy };
    await own.policy.commit({ files, message: 'another target' });
    await own.restart();
    const person = await own.client('engineer');
    const names = async (client: GatewayClient): Promise<string[]> =>
      (await client.targets(own.signal)).targets.map(({ name }) => name);
    expect(await names(person)).toEqual(expect.arrayContaining(['prod-db', 'test-db']));
    await using outer = await startRun(own, person, { targets: ['prod-db'] });
    await using inner = await startRun(own, outer.client);
    await using same = await startRun(own, inner.client, { targets: ['prod-db'] });
    for (const { client, reply } of [outer, inner, same]) {
      expect(await names(client)).toEqual(['prod-db']);
      expect(reply.reachable.targets.map(({ name }) => name)).toEqual(['prod-db']);
      await requestSession(own, client, { target: 'prod-db' });
      await expect(requestSession(own, client, { target: 'test-db' })).rejects.toMatchObject({
        code: 'HOOP_ACCESS_DENIED',
        message: 'no access to target "test-db" in this run',
        detail: 'It was started for prod-db, and nothing inside it reaches another target.',
      });
    }
    await expect(
      startRun(own, inner.client, { targets: ['prod-db', 'test-db'] }),
    ).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
      message: 'no access to target "test-db"',
      hint: 'It may reach prod-db.',
    });
    // Beside it nothing has changed.
    await using wide = await startRun(own, person);
    await expect(requestSession(own, wide.client, { target: 'test-db' })).rejects.toMatchObject({
      message: 'the gateway has no address for target "test-db"',
    });
  });

  test('that opens sessions in a loop, by itself and by runs within it, leaves some to its person', async () => {
    await using own = await startGatewayBench();
    const person = await own.client('engineer');
    await using outer = await startRun(own, person);
    await using inner = await startRun(own, outer.client);
    const opened: { client: GatewayClient; id: string }[] = [];
    const open = async (client: GatewayClient) => {
      opened.push({ client, id: (await requestSession(own, client)).reply.session });
    };
    for (let made = 0; made < 40; made += 1) {
      await open(made % 2 === 0 ? outer.client : inner.client);
    }
    for (const { client } of [outer, inner]) {
      await expect(open(client)).rejects.toMatchObject({
        code: 'HOOP_LIMIT',
        detail: 'All runs of one person may have 40, to leave room for others.',
      });
    }
    await open(person);
    for (const { client, id } of opened) {
      await client.endSession(id, own.signal);
    }
    await open(inner.client);
  });

  test('ends with a logout of its own, and its sessions with it; the person’s do not', async () => {
    const { reply, key, client } = await startRun(bench, engineer);
    const session = await TestSession.open(bench, client);
    const other = await TestSession.open(bench, engineer);
    await client.logout(reply.token.refresh_token, key, bench.signal);
    expect((await session.message('closing')).reason).toBe('revoked');
    await session.finish();
    await expect(client.whoami(bench.signal)).rejects.toMatchObject({ code: 'HOOP_TOKEN_REVOKED' });
    expect((await engineer.session(other.id, bench.signal)).state).toBe('live');
    await other.close();
  });

  test('renews its token with its own key', async () => {
    await using run = await startRun(bench, engineer);
    const { refresh_token } = run.reply.token;
    const next = await run.client.refresh(refresh_token, run.key, bench.signal);
    await using renewed = clientWith(bench, next, run.key);
    expect((await renewed.whoami(bench.signal)).run?.id).toBe(run.reply.run);
  });
});

describe('the login of a run is refused', () => {
  test.each([
    ['DELETE', `/v1/approvals/${NO_SESSION}`],
    ['POST', `/v1/approvals/${NO_SESSION}/decision`],
    ['POST', '/v1/access'],
    ['DELETE', `/v1/access/${NO_SESSION}`],
    ['GET', `/v1/sessions/${NO_SESSION}/bundle`],
  ] as const)('%s %s', async (method, path) => {
    await using run = await startRun(bench, await bench.client('dba'));
    await expect(run.client.send({ method, path }, bench.signal)).rejects.toMatchObject({
      code: 'HOOP_RUN_REFUSED',
    });
  });

  test('a decision and a request for access, through the client too', async () => {
    await using run = await startRun(bench, await bench.client('dba'));
    const approvals = new ApprovalsClient(run.client);
    const refused = { code: 'HOOP_RUN_REFUSED' };
    await expect(
      approvals.decide(NO_SESSION, { decision: 'approve' }, bench.signal),
    ).rejects.toMatchObject(refused);
  });

  test('requests of its person and of other runs do not exist for it', async () => {
    await using run = await startRun(bench, await bench.client('dba'));
    const approvals = new ApprovalsClient(run.client);
    expect((await approvals.list({ state: 'all' }, bench.signal)).approvals).toEqual([]);
    await expect(approvals.find('7k3mq9xw2c4d', bench.signal)).rejects.toMatchObject({
      code: 'HOOP_APPROVAL_UNKNOWN',
    });
  });

  test('sessions that it has not opened: of the person, of another run, of its parent', async () => {
    await using outer = await startRun(bench, engineer);
    await using run = await startRun(bench, outer.client);
    await using sibling = await startRun(bench, outer.client);
    const unknown = { code: 'HOOP_SESSION_UNKNOWN' };
    for (const owner of [engineer, outer.client, sibling.client]) {
      const session = await TestSession.open(bench, owner);
      const { client } = run;
      await expect(client.session(session.id, bench.signal)).rejects.toMatchObject(unknown);
      await expect(client.endSession(session.id, bench.signal)).rejects.toMatchObject(unknown);
      await expect(client.position(session.id, bench.signal)).rejects.toMatchObject(unknown);
      await expect(client.seal(session.id, bench.signal)).rejects.toMatchObject(unknown);
      const stream = `${PATHS.streams(session.id)}?stream=1&kind=postgres`;
      await expect(openSocket(bench, client, stream)).rejects.toThrow('404');
      expect((await client.sessions({}, bench.signal)).sessions).toEqual([]);
      await session.close();
    }
  });

  test('the control channel of a session of whoever started it', async () => {
    await using run = await startRun(bench, engineer);
    const { reply } = await requestSession(bench, 'engineer');
    await run.client.whoami(bench.signal);
    await expect(openSocket(bench, run.client, PATHS.control(reply.session))).rejects.toThrow(
      '404',
    );
    await engineer.endSession(reply.session, bench.signal);
  });

  test('to end all logins of the person', async () => {
    const { reply, key, client } = await startRun(bench, engineer);
    await expect(
      client.logout(reply.token.refresh_token, key, bench.signal, { all: true }),
    ).rejects.toMatchObject({ code: 'HOOP_RUN_REFUSED' });
    await expect(engineer.whoami(bench.signal)).resolves.toBeDefined();
    await client[Symbol.asyncDispose]();
  });

  test('an agent that the policy does not name', async () => {
    await expect(startRun(bench, engineer, { agent: 'nobody' })).rejects.toMatchObject({
      code: 'HOOP_AGENT_UNKNOWN',
    });
  });
});

describe('who steals', () => {
  test('the token of a run, but not its key, has nothing', async () => {
    await using run = await startRun(bench, engineer);
    await using thief = clientWith(bench, run.reply.token, generateDpopKey());
    await expect(thief.whoami(bench.signal)).rejects.toMatchObject({ code: 'HOOP_PROOF_KEY' });
    const { refresh_token } = run.reply.token;
    await expect(
      thief.refresh(refresh_token, generateDpopKey(), bench.signal),
    ).rejects.toMatchObject({ code: 'HOOP_PROOF_KEY' });
  });

  test('the refresh handle of a run ends the run with its second use, and not the person’s login', async () => {
    const { reply, key, client } = await startRun(bench, engineer);
    await using child = await startRun(bench, client);
    const { refresh_token } = reply.token;
    await client.refresh(refresh_token, key, bench.signal);
    bench.clock.offsetMs += 31_000;
    await expect(client.refresh(refresh_token, key, bench.signal)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REPLAYED',
    });
    for (const ended of [client, child.client]) {
      await expect(ended.whoami(bench.signal)).rejects.toMatchObject({
        code: 'HOOP_TOKEN_REVOKED',
      });
    }
    await expect(engineer.whoami(bench.signal)).resolves.toBeDefined();
  });
});

describe('a run is asked for with a proof of its key', () => {
  interface Wrong {
    readonly method?: string;
    readonly path?: string;
    readonly token?: string;
    readonly nonce?: string;
  }
  /** As the client does it, with what a test wants to be wrong. */
  async function ask(wrong: Wrong, jkt?: string): Promise<string | undefined> {
    const key = generateDpopKey();
    const url = `${bench.gateway().url}${wrong.path ?? PATHS.runs}`;
    const { authorization } = await engineer.authHeaders('POST', url, bench.signal);
    const { headers } = await rawRequest(bench, { path: PATHS.whoami, as: 'engineer' });
    const proof = createDpopProof(key, {
      method: wrong.method ?? 'POST',
      url,
      nonce: wrong.nonce ?? String(headers['dpop-nonce']),
      accessToken: wrong.token ?? authorization.slice('DPoP '.length),
      nowMs: Date.now(),
    });
    const body = JSON.stringify({
      v: API_VERSION,
      jkt: jkt ?? thumbprintOf(key),
      proof,
      command: ['psql'],
    });
    const send = () =>
      rawRequest(bench, { method: 'POST', path: PATHS.runs, as: 'engineer', body });
    const first = await send();
    return first.code ?? (await send()).code;
  }

  test.each([
    ['for this method', { method: 'GET' }, 'HOOP_PROOF_TARGET'],
    ['for this path', { path: PATHS.whoami }, 'HOOP_PROOF_TARGET'],
    ['for this token', { token: 'another' }, 'HOOP_PROOF_INVALID'],
    ['with a nonce of this gateway', { nonce: 'made-up' }, 'HOOP_PROOF_NONCE'],
    ['that is used once', {}, 'HOOP_PROOF_REPLAYED'],
  ])('%s', async (_title, wrong, code) => {
    expect(await ask(wrong)).toBe(code);
  });

  test('and not with one of another key', async () => {
    expect(await ask({}, thumbprintOf(generateDpopKey()))).toBe('HOOP_PROOF_KEY');
  });

  test('that is not the key of the login itself', async () => {
    const key = generateDpopKey();
    const outer = await startRun(bench, engineer);
    await expect(
      outer.client.startRun(outer.key, { command: [] }, bench.signal),
    ).rejects.toMatchObject({ code: 'HOOP_PROOF_KEY' });
    await expect(
      outer.client.startRun(key, { command: ['x'.repeat(40_000)] }, bench.signal),
    ).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
    await outer.client[Symbol.asyncDispose]();
  });
});

describe('when the login that a run was made from ends', () => {
  test('the run, the run within it and their sessions end', async () => {
    await using own = await startGatewayBench();
    const person = await own.client('engineer');
    const outer = await startRun(own, person);
    const inner = await startRun(own, outer.client);
    const sessions = [
      await TestSession.open(own, outer.client),
      await TestSession.open(own, inner.client),
    ];
    await outer.client.logout(outer.reply.token.refresh_token, outer.key, own.signal);
    for (const session of sessions) {
      expect((await session.message('closing')).reason).toBe('revoked');
      await session.finish();
    }
    await expect(inner.client.whoami(own.signal)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      detail: 'The run has ended.',
      hint: 'The run is over; whoever started it can start a new one.',
    });
    await expect(
      inner.client.refresh(inner.reply.token.refresh_token, inner.key, own.signal),
    ).rejects.toMatchObject({ code: 'HOOP_TOKEN_REVOKED' });
    await expect(startRun(own, outer.client)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
    });
    await expect(person.whoami(own.signal)).resolves.toBeDefined();
    for (const { client } of [outer, inner]) {
      await client[Symbol.asyncDispose]();
    }
  });

  test('that is not yet so after a restart of the gateway: runs and their links are kept', async () => {
    await using own = await startGatewayBench();
    const person = await own.client('engineer');
    await using outer = await startRun(own, person);
    await using inner = await startRun(own, outer.client);
    await own.restart();
    expect((await inner.client.whoami(own.signal)).run).toEqual({
      id: inner.reply.run,
      parent: outer.reply.run,
    });
  });
});

describe('a request that is still being sent when its login ends', () => {
  /** Sends what a login is known by, ends the login when the gateway has looked at it, sends the rest. */
  async function sendLate(
    own: GatewayBench,
    client: GatewayClient,
    path: string,
    value: unknown,
    endLogin: () => Promise<unknown>,
  ): Promise<{ readonly status: number | undefined; readonly text: string }> {
    const url = `${own.gateway().url}${path}`;
    await client.whoami(own.signal);
    const login = await client.authHeaders('POST', url, own.signal);
    const body = JSON.stringify(value);
    const sent = request(url, {
      method: 'POST',
      ca: own.ca,
      agent: false,
      headers: { ...login, 'content-length': Buffer.byteLength(body), expect: '100-continue' },
    });
    sent.flushHeaders();
    await once(sent, 'continue');
    // Behind it in the gateway's work.
    await client.whoami(own.signal);
    await endLogin();
    sent.end(body);
    const [reply] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: reply.statusCode, text: await text(reply) };
  }
  const ended = { status: 401, text: expect.stringContaining('HOOP_TOKEN_REVOKED') };

  test('opens no session', async () => {
    const { reply, key, client } = await startRun(bench, engineer);
    const { request: asked } = await sessionRequest(bench, client);
    const late = await sendLate(bench, client, PATHS.sessions, asked, () =>
      client.logout(reply.token.refresh_token, key, bench.signal),
    );
    expect(late).toMatchObject(ended);
    const { sessions } = await engineer.sessions({ live: '1' }, bench.signal);
    expect(sessions.filter(({ run }) => run === reply.run)).toEqual([]);
    await client[Symbol.asyncDispose]();
  });

  test.each([
    [`/v1/approvals/${NO_SESSION}/decision`, { decision: 'approve' }],
    ['/v1/access', { target: 'prod-db', durationSeconds: 60, reason: 'x' }],
  ])('decides nothing and asks for nothing: %s', async (path, asked) => {
    await using own = await startGatewayBench();
    const client = await own.client('dba');
    const body = { v: API_VERSION, ...asked };
    const late = await sendLate(own, client, path, body, () =>
      logout({
        env: own.environment('dba'),
        all: false,
        note: () => undefined,
        signal: own.signal,
      }),
    );
    expect(late).toMatchObject(ended);
  });
});
