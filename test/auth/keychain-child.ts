/**
 * Runs inside a private D-Bus session (see keychain-token-store.test.ts): logs in, and prints what
 * it found as one JSON line.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chooseTokenStore, findTokens, removeTokens } from '../../src/auth/token-stores.ts';
import { locateHome } from '../../src/home.ts';

const home = locateHome(process.env);
const gateway = 'https://gw.example.com';
const record = {
  accessToken: 'a'.repeat(900),
  expiresAtMs: 1,
  refreshToken: 'refresh',
  key: 'key',
};

const chosen = await chooseTokenStore(home, {});
await chosen.store.write(gateway, record);
const { found } = await findTokens(home, {}, gateway);
const other = await findTokens({ ...home, state: join(home.state, 'other') }, {}, gateway);
const forced = await findTokens(home, { tokenStore: 'file' }, gateway);
const result = {
  description: chosen.store.description,
  problem: chosen.problem?.message,
  same: JSON.stringify(found?.record) === JSON.stringify(record),
  foundIn: found?.store.description,
  otherHome: other.found !== undefined,
  whenFileIsForced: forced.found !== undefined,
  fileExists: existsSync(join(home.state, 'tokens.json')),
  removed: await removeTokens(home, {}, gateway),
  afterwards: (await findTokens(home, {}, gateway)).found !== undefined,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
