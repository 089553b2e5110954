import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandJudge } from '../../../../src/connectors/ssh/gateway/command-judge.ts';
import { decideSsh } from '../../../../src/connectors/ssh/policy/decide-ssh.ts';
import type { SshAct, SshVerdict } from '../../../../src/connectors/ssh/policy/types.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { nastyCommands } from '../policy/nasty-commands.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench } from './ssh-stream-bench.ts';

const ECHO = grantOf(
  'allow: { ssh: exec, commands: ["echo **"] }',
  'deny: { ssh: exec, commands: ["rm **"] }',
);
const exec = (command: string): SshAct => ({ kind: 'exec', command });

describe('commands that are held against the rules', () => {
  test('none that costs much is read on the main thread, and each is decided as it is there', async () => {
    await using judge = new CommandJudge();
    const session = {};
    let count = 0;
    for (const { command } of nastyCommands().filter((one) => one.command.length < 20_000)) {
      const verdict = judge.decide(session, ECHO, 'deploy', exec(command));
      expect(verdict).toBeInstanceOf(Promise);
      expect(await verdict).toEqual(decideSsh(ECHO, 'deploy', exec(command)));
      count += 1;
    }
    expect(judge.readElsewhere).toBe(count);
  });

  test('what people and tools send mostly is decided at once', async () => {
    await using judge = new CommandJudge();
    expect(judge.decide({}, ECHO, 'deploy', exec('echo hello'))).toMatchObject({ effect: 'allow' });
    expect(judge.decide({}, ECHO, 'deploy', { kind: 'shell' })).toMatchObject({ effect: 'refuse' });
    expect(judge.readElsewhere).toBe(0);
  });

  test('what is denied at the end of a long one is found', async () => {
    await using judge = new CommandJudge();
    const command = `echo ${'word '.repeat(4000)}; rm -rf /srv`;
    expect(await judge.decide({}, ECHO, 'deploy', exec(command))).toMatchObject({
      effect: 'refuse',
      refusal: { message: 'rm is denied by policy' },
    });
  });

  test('one that takes too long is one that nobody can read, and the next one is read', async () => {
    const limitMs = 1;
    await using judge = new CommandJudge(limitMs);
    const long = exec(`echo ${'`a` '.repeat(15_000)}`);
    expect(await judge.decide({}, ECHO, 'deploy', long)).toMatchObject({
      effect: 'refuse',
      refusal: { code: 'HOOP_UNPARSED', message: expect.stringContaining('too long to read') },
    });
    const all = grantOf('allow: { ssh: exec }');
    expect(await judge.decide({}, all, 'deploy', long)).toMatchObject({ effect: 'allow' });
  });

  test('of a session that sends many, another one does not wait for all of them', async () => {
    await using judge = new CommandJudge();
    const [greedy, other] = [{}, {}];
    const order: string[] = [];
    const decide = async (owner: object, name: string): Promise<void> => {
      await judge.decide(owner, ECHO, 'deploy', exec(`echo ${name.repeat(600)}`));
      order.push(name);
    };
    await Promise.all([
      ...['a', 'b', 'c', 'd'].map((name) => decide(greedy, name)),
      decide(other, 'x'),
    ]);
    expect(order).toEqual(['a', 'x', 'b', 'c', 'd']);
  });

  test('a session that sends more than may wait takes no place from another one', async () => {
    await using judge = new CommandJudge();
    const [greedy, other] = [{}, {}];
    const long = exec(`echo ${'word '.repeat(200)}`);
    const sent = Array.from({ length: 300 }, () => judge.decide(greedy, ECHO, 'deploy', long));
    const mine = judge.decide(other, ECHO, 'deploy', long);
    expect(sent.at(-1)).toMatchObject({ effect: 'refuse' });
    expect(await mine).toMatchObject({ effect: 'allow' });
    const allowed = (await Promise.all(sent)).filter(({ effect }) => effect === 'allow');
    expect(allowed).toHaveLength(201);
  });

  test('after the gateway has closed none waits for ever', async () => {
    const judge = new CommandJudge();
    const waiting = [1, 2].map((n) => judge.decide({}, ECHO, 'deploy', exec('a '.repeat(n * 900))));
    await judge[Symbol.asyncDispose]();
    expect(await Promise.all(waiting)).toMatchObject([{ effect: 'refuse' }, { effect: 'refuse' }]);
  });
});

let bench: SshStreamBench;

describe.skipIf(findSshd() === undefined)('a command that is read elsewhere', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  const ALL = grantOf('allow: { ssh: exec }');

  test('gets what was sent behind it, and its end', async () => {
    const read = Promise.withResolvers<SshVerdict>();
    const stream = await bench.connected({ grant: () => ALL, judge: () => read.promise });
    stream.open(0);
    await stream.frame('opened', 0);
    stream.exec(0, 'cat');
    stream.send(
      { type: 'data', channel: 0, data: Buffer.from('early') },
      { type: 'eof', channel: 0 },
    );
    // Another channel of the connection is not held up by it.
    stream.open(1);
    await stream.frame('opened', 1);
    read.resolve(decideSsh(ALL, '', exec('cat')));
    await stream.frame('close', 0);
    expect(stream.outcome(0).stdout.toString()).toBe('early');
  });

  test('does not run when its channel was closed meanwhile', async () => {
    const read = Promise.withResolvers<SshVerdict>();
    const stream = await bench.connected({ grant: () => ALL, judge: () => read.promise });
    stream.open(0);
    await stream.frame('opened', 0);
    stream.exec(0, 'true');
    stream.send({ type: 'close', channel: 0 });
    await stream.frame('close', 0);
    read.resolve(decideSsh(ALL, '', exec('true')));
    expect(await (await bench.connected({ grant: () => ALL })).run(0, 'true')).toMatchObject({
      status: 0,
    });
    expect(stream.events.filter(({ type }) => type === 'decision')).toEqual([]);
  });

  test('is decided by the policy of the moment in which it would run', async () => {
    let grant = ALL;
    const first = Promise.withResolvers<SshVerdict>();
    const stream = await bench.connected({
      grant: () => grant,
      judge: (by, user, act) => (by === ALL ? first.promise : decideSsh(by, user, act)),
    });
    stream.open(0);
    await stream.frame('opened', 0);
    stream.exec(0, 'uptime');
    stream.open(1);
    await stream.frame('opened', 1);
    grant = ECHO;
    first.resolve(decideSsh(ALL, '', exec('uptime')));
    stream.send({ type: 'eof', channel: 0 });
    await stream.frame('close', 0);
    expect(stream.outcome(0)).toMatchObject({ status: 126 });
  });
});
