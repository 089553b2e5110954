import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkAndPin, pinnedGateway, readTrust, rootKeyFingerprint } from '../../src/auth/trust.ts';
import { locateHome } from '../../src/home.ts';
import { generateSigningKey } from '../../src/recording/ed25519.ts';
import { temporaryHome } from './command-run.ts';
import { createInfo } from './test-gateway.ts';

const PROVIDER = { issuer: 'https://idp.example.com', clientId: 'hoop-cli' };
const GATEWAY = 'https://gw.example.com';

describe('the pins of a gateway', () => {
  test('are learned once and kept in a 0600 file', () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const info = createInfo(PROVIDER);
    expect(() => pinnedGateway(at, GATEWAY)).toThrow(`not logged in to "${GATEWAY}"`);
    const first = checkAndPin(at, GATEWAY, info, Date.now());
    expect(first.firstUse).toBe(true);
    expect(checkAndPin(at, GATEWAY, info, Date.now() + 1000)).toEqual({
      pin: first.pin,
      firstUse: false,
    });
    expect(pinnedGateway(at, GATEWAY)).toEqual(first.pin);
    expect(statSync(join(home.path, 'trust.json')).mode & 0o777).toBe(0o600);
  });

  test('follow a newer keyring, and then refuse the older one', () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const root = generateSigningKey();
    const older = createInfo(PROVIDER, { version: 3 }, root);
    const newer = createInfo(PROVIDER, { version: 4 }, root);
    checkAndPin(at, GATEWAY, older, Date.now());
    expect(checkAndPin(at, GATEWAY, newer, Date.now()).pin.keyringVersion).toBe(4);
    expect(() => checkAndPin(at, GATEWAY, older, Date.now())).toThrow(
      'the gateway shows an older keyring than before',
    );
    expect(pinnedGateway(at, GATEWAY).keyringVersion).toBe(4);
  });

  test('keep the signers of the policy whatever the gateway says later', () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    const info = createInfo(PROVIDER);
    checkAndPin(at, GATEWAY, info, Date.now());
    const evil = { ...info, policy: { ...info.policy, allowedSigners: 'evil ssh-ed25519 BBBB\n' } };
    const { pin } = checkAndPin(at, GATEWAY, evil, Date.now());
    expect(pin.allowedSigners).toBe(info.policy.allowedSigners);
  });

  test('of several gateways do not touch each other', () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    checkAndPin(at, GATEWAY, createInfo(PROVIDER), Date.now());
    checkAndPin(at, 'https://other', createInfo(PROVIDER), Date.now());
    expect([...readTrust(at).keys()]).toEqual([GATEWAY, 'https://other']);
  });

  test('in a damaged file are an error, not a first use', () => {
    using home = temporaryHome();
    const at = locateHome(home.env);
    checkAndPin(at, GATEWAY, createInfo(PROVIDER), Date.now());
    const path = join(home.path, 'trust.json');
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -10));
    expect(() => checkAndPin(at, GATEWAY, createInfo(PROVIDER), Date.now())).toThrow(
      expect.objectContaining({ code: 'HOOP_LOCAL_STATE' }),
    );
  });

  test('have a fingerprint like the ones that ssh shows', () => {
    // printf '%32s' | tr ' ' '\0' | openssl dgst -sha256 -binary | base64
    expect(rootKeyFingerprint(Buffer.alloc(32).toString('base64'))).toBe(
      'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU',
    );
  });
});
