import { expect, test } from 'vitest';
import { networkFrom } from '../../src/policy/address-class.ts';

test.each([
  ['10.0.0.5', { address: '10.0.0.5', prefix: 32 }],
  ['10.1.0.0/16', { address: '10.1.0.0', prefix: 16 }],
  ['::ffff:10.0.0.5', { address: '10.0.0.5', prefix: 32 }],
  ['::ffff:a01:0/112', { address: '10.1.0.0', prefix: 16 }],
  ['2001:db8::/32', { address: '2001:db8::', prefix: 32 }],
  ['::ffff:0:0/95', { address: '::ffff:0:0', prefix: 95 }],
])('%s is read as a network', (text, network) => {
  expect(networkFrom(text)).toEqual(network);
});

test.each(['10.0.0.5/33', '10.0.0', 'db-1', '::/129', ''])('%j is no network', (text) => {
  expect(networkFrom(text)).toBeUndefined();
});
