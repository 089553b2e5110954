import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildkite } from '../../../src/auth/workload/buildkite.ts';
import { TestIssuer } from '../../gateway/identity/test-issuer.ts';
import { detect, found } from './test-platform.ts';
import { type TestProgram, writeProgram } from './test-program.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const signal = new AbortController().signal;

let issuer: TestIssuer;
let program: TestProgram;
let env: Record<string, string>;
beforeAll(async () => {
  issuer = await TestIssuer.start();
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});
beforeEach(async () => {
  const token = await issuer.mint({
    iss: 'https://agent.buildkite.com',
    aud: AUDIENCE,
    organization_id: 'o-1',
    pipeline_id: 'p-1',
  });
  // As the agent: nothing without the job, nothing when it cannot hide the token in the log.
  program = writeProgram(
    'buildkite-agent',
    `if (!process.env.BUILDKITE_JOB_ID || process.argv.includes('--skip-redaction')) process.exit(1);
     if (process.argv.slice(2, 4).join(' ') !== 'oidc request-token') process.exit(64);
     console.log(${JSON.stringify(token)});`,
  );
  env = {
    BUILDKITE: 'true',
    BUILDKITE_JOB_ID: 'job-1',
    BUILDKITE_AGENT_ACCESS_TOKEN: 'access-secret',
    PATH: program.path,
  };
});
afterEach(() => program[Symbol.dispose]());

describe('Buildkite', () => {
  test('asks for the ids of the organisation and the pipeline, and leaves the redaction on', async () => {
    const token = await (await found(buildkite, env)).fetchToken(AUDIENCE, signal);
    expect(token.split('.')).toHaveLength(3);
    const args = program.arguments();
    expect(args).toEqual([
      ...['oidc', 'request-token', '--audience', AUDIENCE],
      ...['--lifetime', '300', '--claim', 'organization_id,pipeline_id'],
    ]);
    // Arguments can be read by everybody on the machine.
    expect(args.join(' ')).not.toContain('secret');
  });

  test('is somewhere else without its variable', async () => {
    expect(await detect(buildkite, { PATH: program.path })).toMatchObject({ state: 'absent' });
  });

  test('says what a container lacks that was not given the variables of the job', async () => {
    expect(await detect(buildkite, { BUILDKITE: 'true' })).toMatchObject({
      state: 'unusable',
      hint: expect.stringContaining('propagate-environment'),
    });
  });

  test('says what a container lacks that was not given the program', async () => {
    const workload = await found(buildkite, { ...env, PATH: '/nowhere' });
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      hint: expect.stringContaining('mount-buildkite-agent'),
    });
  });

  test('an agent that cannot hide the token gives none, and the reason is named', async () => {
    program.become(`console.error('eyJsecret'); process.exit(1)`);
    const error = await (await found(buildkite, env)).fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      detail: expect.stringContaining('Job API'),
    });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('secret');
  });

  test('a token for somebody else is not passed on', async () => {
    const other = await issuer.mint({ aud: 'https://buildkite.com/acme-inc' });
    program.become(`console.log(${JSON.stringify(other)})`);
    await expect((await found(buildkite, env)).fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      detail: expect.stringContaining('https://buildkite.com/acme-inc'),
    });
  });

  test('has another scope in another job of the same agent', async () => {
    const other = await found(buildkite, { ...env, BUILDKITE_JOB_ID: 'job-2' });
    expect((await found(buildkite, env)).scope).not.toBe(other.scope);
  });
});
