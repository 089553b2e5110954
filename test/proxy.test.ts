import { expect, test } from 'vitest';
import { proxyFor } from '../src/proxy.ts';

const HTTPS_PROXY = 'http://proxy.corp:3128';
const GATEWAY = 'https://gw.example.com:8443';

test.each([
  ['HTTPS_PROXY', { HTTPS_PROXY }],
  ['https_proxy', { https_proxy: HTTPS_PROXY }],
  ['ALL_PROXY', { ALL_PROXY: HTTPS_PROXY }],
  ['all_proxy', { all_proxy: HTTPS_PROXY, HTTP_PROXY: 'http://other:1' }],
  ['https_proxy', { https_proxy: HTTPS_PROXY, HTTPS_PROXY: 'http://other:1' }],
  ['HTTPS_PROXY', { HTTPS_PROXY: 'proxy.corp:3128' }],
])('%s names the proxy of an https address', (variable, env) => {
  expect(proxyFor(GATEWAY, env)).toEqual({
    host: 'proxy.corp',
    port: 3128,
    isSecure: false,
    authorization: undefined,
    shown: 'proxy.corp:3128',
    variable,
  });
});

test('a variable that is set to nothing turns the proxy off, also one that stands behind it', () => {
  expect(proxyFor(GATEWAY, { https_proxy: '', HTTPS_PROXY })).toBeUndefined();
  expect(proxyFor(GATEWAY, {})).toBeUndefined();
  expect(proxyFor(GATEWAY, { HTTP_PROXY: HTTPS_PROXY })).toBeUndefined();
});

test('the login in its URL is decoded, sent as Basic, and not shown', () => {
  const proxy = proxyFor(GATEWAY, { HTTPS_PROXY: 'https://bob:p%40s%s@[::1]:8080' });
  const login = Buffer.from('bob:p@s%s').toString('base64');
  // A stray % makes the whole text what it is.
  const raw = Buffer.from('bob:p%40s%s').toString('base64');
  expect([`Basic ${login}`, `Basic ${raw}`]).toContain(proxy?.authorization);
  expect(proxy).toMatchObject({ host: '::1', port: 8080, isSecure: true, shown: '[::1]:8080' });
});

test.each(['socks5://bob:secret@proxy:1080', 'http://', 'http://bob:secret@', '://x'])(
  'a value that names no HTTP proxy is an error without the value: %s',
  (value) => {
    const ask = () => proxyFor(GATEWAY, { HTTPS_PROXY: value });
    expect(ask).toThrow('HTTPS_PROXY names no HTTP proxy');
    expect(ask).not.toThrow(/secret|bob/);
  },
);

test.each([
  ['https://gw.example.com', '*'],
  ['https://gw.example.com', 'example.com'],
  ['https://gw.example.com', '.example.com'],
  ['https://gw.example.com', '*.example.com'],
  ['https://gw.example.com', 'other, GW.example.com.'],
  ['https://gw.example.com', 'a b example.com'],
  ['https://example.com', '.example.com'],
  ['https://gw.example.com:8443', 'example.com:8443'],
  ['https://gw.example.com', 'gw.example.com:443'],
  ['https://10.1.2.3', '10.1.2.3'],
  ['https://10.1.2.3', '10.0.0.0/8'],
  ['https://10.1.2.3:8443', '10.1.2.3:8443'],
  ['https://[fd00::7]', 'fd00::/8'],
  ['https://[fd00::7]:8443', '[fd00::7]:8443'],
  ['https://[fd00::7]', 'fd00:0::7'],
])('%s is reached directly with NO_PROXY=%s', (address, noProxy) => {
  expect(proxyFor(address, { HTTPS_PROXY, NO_PROXY: noProxy })).toBeUndefined();
});

test.each([
  ['https://gw.example.com', ''],
  ['https://gw.example.com', 'ample.com'],
  ['https://gw.example.com', 'gw.example.co'],
  ['https://gw.example.com', 'gw.example.com:8443'],
  ['https://gw.example.com', '10.0.0.0/8'],
  ['https://10.1.2.3', '10.1.2.0/33'],
  ['https://10.1.2.3', '10.1.2'],
  ['https://11.1.2.3', '10.0.0.0/8'],
  ['https://10.1.2.3', '0.0.0.0/'],
  ['https://[fd00::7]', 'fe00::/8'],
])('%s goes through the proxy with NO_PROXY=%j', (address, noProxy) => {
  expect(proxyFor(address, { HTTPS_PROXY, NO_PROXY: noProxy })).toBeDefined();
});

test.each(['http://localhost:3000', 'http://127.0.0.9', 'http://[::1]:1', 'http://idp.localhost'])(
  '%s, on this machine and without TLS, never goes through a proxy',
  (address) => {
    const env = { HTTP_PROXY: HTTPS_PROXY, http_proxy: HTTPS_PROXY, ALL_PROXY: HTTPS_PROXY };
    expect(proxyFor(address, env)).toBeUndefined();
  },
);

test('inside a fence no proxy is used: the one that is set is the child’s', () => {
  expect(proxyFor(GATEWAY, { HTTPS_PROXY, HOOP_FENCE: '1' })).toBeUndefined();
});
