import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { circleci } from '../../../src/auth/workload/circleci.ts';
import { TestIssuer } from '../../gateway/identity/test-issuer.ts';
import { detect, found } from './test-platform.ts';
import { type TestProgram, writeProgram } from './test-program.ts';
import { TestRoot } from './test-root.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const ORGANISATION = '6c5f7e2a-0000-4000-8000-000000000001';
const signal = new AbortController().signal;

let issuer: TestIssuer;
let program: TestProgram;
let root: TestRoot;
let env: Record<string, string>;
beforeAll(async () => {
  issuer = await TestIssuer.start();
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});
beforeEach(async () => {
  root = new TestRoot();
  const token = await issuer.mint({
    iss: `https://oidc.circleci.com/org/${ORGANISATION}`,
    aud: AUDIENCE,
    'oidc.circleci.com/project-id': 'project',
  });
  program = writeProgram(
    'circleci',
    `const claims = JSON.parse(process.argv[6]);
     if (process.argv.slice(2, 6).join(' ') !== 'run oidc get --claims') process.exit(64);
     console.log(claims.aud === ${JSON.stringify(AUDIENCE)} ? ${JSON.stringify(token)} : 'no');`,
  );
  env = { CIRCLECI: 'true', CIRCLE_WORKFLOW_JOB_ID: 'job-1', PATH: program.path };
});
afterEach(() => {
  program[Symbol.dispose]();
  root[Symbol.dispose]();
});

describe('CircleCI', () => {
  test('gives a token for the audience that is asked for', async () => {
    const token = await (await found(circleci, env)).fetchToken(AUDIENCE, signal);
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toEqual(
      expect.objectContaining({ aud: AUDIENCE }),
    );
    expect(program.arguments()).toEqual([
      'run',
      'oidc',
      'get',
      '--claims',
      `{"aud":"${AUDIENCE}"}`,
    ]);
  });

  test('is somewhere else without its variable', async () => {
    expect(await detect(circleci, { PATH: program.path })).toMatchObject({ state: 'absent' });
  });

  test('never uses the tokens in the environment, which are made out to the organisation', async () => {
    const general = await issuer.mint({ aud: ORGANISATION });
    const workload = await found(circleci, {
      CIRCLECI: 'true',
      CIRCLE_OIDC_TOKEN: general,
      CIRCLE_OIDC_TOKEN_V2: general,
      PATH: '/nowhere',
    });
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining('there is no program "circleci"'),
      detail: expect.stringContaining('CIRCLE_OIDC_TOKEN_V2'),
    });
  });

  test('gives no token that is made out to the organisation all the same', async () => {
    const general = await issuer.mint({ aud: ORGANISATION });
    program.become(`console.log(${JSON.stringify(general)})`);
    const error = await (await found(circleci, env)).fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({
      message: expect.stringContaining('meant for somebody else'),
      detail: expect.stringContaining(ORGANISATION),
    });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain(general);
  });

  test.each([
    ['fails', `console.log('eyJsecret'); console.error('eyJsecret'); process.exit(1)`, 'failed'],
    ['prints something else', `console.log('eyJsecret is your token')`, 'is not a token'],
    ['prints nothing', '', 'is not a token'],
    [
      'prints without end',
      `for (;;) require('node:fs').writeSync(1, 'eyJsecret'.repeat(9999))`,
      'failed',
    ],
  ])('a program that %s is reported without what it printed', async (_title, script, said) => {
    program.become(script);
    const error = await (await found(circleci, env)).fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining(said),
      hint: expect.stringContaining('circleci run oidc get'),
    });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('eyJ');
  });

  test('a program that never ends and heeds no signal ends with the command', async () => {
    const started = join(root.path, 'started');
    execFileSync('mkfifo', [started]);
    program.become(`
      process.on('SIGTERM', () => {});
      setInterval(() => {}, 1000);
      require('node:fs').writeFileSync(${JSON.stringify(started)}, String(process.pid));`);
    const workload = await found(circleci, env);
    const controller = new AbortController();
    const fetched = workload.fetchToken(AUDIENCE, controller.signal);
    const pid = Number(await readFile(started, 'utf8'));
    controller.abort(new Error('enough'));
    await expect(fetched).rejects.toThrow('enough');
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  test('has another scope in another job', async () => {
    const other = await found(circleci, { ...env, CIRCLE_WORKFLOW_JOB_ID: 'job-2' });
    expect((await found(circleci, env)).scope).not.toBe(other.scope);
  });
});
