import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { checkAndPin, pinnedGateway, readTrust, rootKeyFingerprint } from '../../src/auth/trust.ts';
import { locateHome } from '../../src/home.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { temporaryHome } from './command-run.ts';
import { createInfo } from './test-gateway.ts';

const PROVIDER = { issuer: 'https://idp.example.com', clientId: 'hoop-cli' };
const GATEWAY = 'https://gw.example.com';
const opts = (nowMs: number) => ({ nowMs, signal: new AbortController().signal });

describe('the pins of a gateway', () => {
  test('are learned once and kept in a 0600 file', async () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const info = createInfo(PROVIDER);
    expect(() => pinnedGateway(at, GATEWAY)).toThrow(`not logged in to "${GATEWAY}"`);
    const first = await checkAndPin(at, GATEWAY, info, opts(Date.now()));
    expect(first.firstUse).toBe(true);
    expect(await checkAndPin(at, GATEWAY, info, opts(Date.now() + 1000))).toEqual({
      pin: first.pin,
      firstUse: false,
    });
    expect(pinnedGateway(at, GATEWAY)).toEqual(first.pin);
    expect(statSync(join(home.path, 'trust.json')).mode & 0o777).toBe(0o600);
  });

  test('follow a newer keyring, and then refuse the older one', async () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const root = generateSigningKey();
    const older = createInfo(PROVIDER, { version: 3 }, root);
    const newer = createInfo(PROVIDER, { version: 4 }, root);
    await checkAndPin(at, GATEWAY, older, opts(Date.now()));
    expect((await checkAndPin(at, GATEWAY, newer, opts(Date.now()))).pin.keyringVersion).toBe(4);
    await expect(checkAndPin(at, GATEWAY, older, opts(Date.now()))).rejects.toThrow(
      'the gateway shows an older keyring than before',
    );
    expect(pinnedGateway(at, GATEWAY).keyringVersion).toBe(4);
  });

  test('keep the signers of the policy whatever the gateway says later', async () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const info = createInfo(PROVIDER);
    await checkAndPin(at, GATEWAY, info, opts(Date.now()));
    const evil = { ...info, policy: { ...info.policy, allowedSigners: 'evil ssh-ed25519 BBBB\n' } };
    const { pin } = await checkAndPin(at, GATEWAY, evil, opts(Date.now()));
    expect(pin.allowedSigners).toBe(info.policy.allowedSigners);
  });

  test('of several gateways do not touch each other', async () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    await checkAndPin(at, GATEWAY, createInfo(PROVIDER), opts(Date.now()));
    await checkAndPin(at, 'https://other', createInfo(PROVIDER), opts(Date.now()));
    expect([...readTrust(at).keys()]).toEqual([GATEWAY, 'https://other']);
  });

  test('that several processes learn at once are all kept', async () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const info = createInfo(PROVIDER);
    const { pin } = await checkAndPin(at, GATEWAY, info, opts(Date.now()));
    const module = JSON.stringify(new URL('../../src/auth/trust.ts', import.meta.url).href);
    const program = `
      const { writePin } = await import(${module});
      const [, home, name, pin] = process.argv;
      for (let i = 0; i < 20; i += 1) {
        await writePin(JSON.parse(home), 'https://' + name + '-' + i, JSON.parse(pin), new AbortController().signal);
      }`;
    const writers = ['a', 'b', 'c'].map((name) => {
      const values = [JSON.stringify(at), name, JSON.stringify(pin)];
      const args = ['--input-type=module', '-e', program, ...values];
      return promisify(execFile)(process.execPath, args);
    });
    await Promise.all(writers);
    expect(readTrust(at).size).toBe(61);
  });

  test('in a damaged file are an error, not a first use', async () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    await checkAndPin(at, GATEWAY, createInfo(PROVIDER), opts(Date.now()));
    const path = join(home.path, 'trust.json');
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -10));
    await expect(
      checkAndPin(at, GATEWAY, createInfo(PROVIDER), opts(Date.now())),
    ).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE' });
  });

  test('have a fingerprint like the ones that ssh shows', async () => {
    // printf '%32s' | tr ' ' '\0' | openssl dgst -sha256 -binary | base64
    expect(rootKeyFingerprint(Buffer.alloc(32).toString('base64'))).toBe(
      'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU',
    );
  });
});
