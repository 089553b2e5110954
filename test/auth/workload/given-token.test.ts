import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openContext } from '../../../src/auth/workload/find-workload.ts';
import { gitlab } from '../../../src/auth/workload/gitlab.ts';
import { givenToken, tokenFile } from '../../../src/auth/workload/given-token.ts';
import { detect, found, TestPlatform } from './test-platform.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const signal = new AbortController().signal;

let platform: TestPlatform;
let directory: string;
beforeAll(async () => {
  platform = await TestPlatform.start();
  directory = mkdtempSync(join(tmpdir(), 'hoop-test-token-'));
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

describe('GitLab', () => {
  test('has its token in the variable that the job declares', async () => {
    const token = await platform.issuer.mint({ aud: AUDIENCE });
    const job = await found(gitlab, { GITLAB_CI: 'true', HOOP_ID_TOKEN: token });
    expect(await job.fetchToken(AUDIENCE, signal)).toBe(token);
  });

  test('says how to declare it, and is not there without its own variable', async () => {
    expect(await detect(gitlab, { GITLAB_CI: 'true' })).toMatchObject({
      state: 'unusable',
      hint: expect.stringContaining('id_tokens'),
    });
    expect(await detect(gitlab, { HOOP_ID_TOKEN: 'x' })).toMatchObject({ state: 'absent' });
  });

  test('names the address of the gateway where it is known', async () => {
    const context = openContext({ GITLAB_CI: 'true' }, 'https://gw.example.com');
    expect(await gitlab.detect(context, signal)).toMatchObject({
      hint: `Declare it in the job: \`id_tokens: { HOOP_ID_TOKEN: { aud: "${AUDIENCE}" } }\`.`,
    });
    expect(await detect(gitlab, { GITLAB_CI: 'true' })).toMatchObject({
      hint: expect.stringContaining('with the address of your gateway.'),
    });
  });

  test('has a token for another audience when the job declares it wrongly, which is not sent', async () => {
    const token = await platform.issuer.mint({ aud: 'https://gitlab.com' });
    const job = await found(gitlab, { GITLAB_CI: 'true', HOOP_ID_TOKEN: token });
    await expect(job.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      hint: expect.stringContaining(`aud: "${AUDIENCE}"`),
    });
  });
});

describe('a token that was handed over', () => {
  test('is taken from the variable, and two of them are two scopes', async () => {
    const token = await platform.issuer.mint({ aud: AUDIENCE });
    const given = await found(givenToken, { HOOP_TOKEN: `${token}\n` });
    expect(await given.fetchToken(AUDIENCE, signal)).toBe(token);
    expect(given.scope).not.toBe((await found(givenToken, { HOOP_TOKEN: 'other' })).scope);
    expect(await detect(givenToken, {})).toMatchObject({ state: 'absent' });
  });

  test('is read from its file each time, since that is renewed in place', async () => {
    const path = join(directory, 'token');
    const env = { HOOP_IDENTITY_TOKEN_FILE: path };
    expect(await detect(tokenFile, env)).toMatchObject({ state: 'unusable' });
    const [first, second] = await Promise.all(
      ['a', 'b'].map((jti) => platform.issuer.mint({ aud: AUDIENCE, jti })),
    );
    writeFileSync(path, first ?? '', { mode: 0o600 });
    const file = await found(tokenFile, env);
    expect(await file.fetchToken(AUDIENCE, signal)).toBe(first);
    writeFileSync(path, second ?? '');
    expect(await file.fetchToken(AUDIENCE, signal)).toBe(second);
  });

  test('that is no token is not sent', async () => {
    const given = await found(givenToken, { HOOP_TOKEN: 'hunter2' });
    const error = await given.fetchToken(AUDIENCE, signal).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: 'the token of HOOP_TOKEN cannot be used: it is not a signed JWT',
    });
    expect(String(error)).not.toContain('hunter2');
  });
});
