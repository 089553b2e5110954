import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { CompactRange } from '../../src/recording/formats/merkle-tree.ts';

/** Leaves and roots of the certificate-transparency reference tests. */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = new Map([
  [0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  [1, '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
  [2, 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
  [3, 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'],
  [8, '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
]);

function leafOf(hex: string): Uint8Array {
  return hash('sha256', Buffer.from(`00${hex}`, 'hex'), 'buffer');
}

test('roots are those of the RFC 6962 reference tests', () => {
  const tree = new CompactRange();
  for (let size = 0; size <= LEAVES.length; size += 1) {
    const root = ROOTS.get(size);
    if (root !== undefined) {
      expect(Buffer.from(tree.root()).toString('hex')).toBe(root);
    }
    tree.append(leafOf(LEAVES[size] ?? ''));
  }
});

test('every size up to 300 gives the root of the recursive definition', () => {
  const leaves = Array.from({ length: 300 }, (_, index) =>
    leafOf(index.toString(16).padStart(4, '0')),
  );
  const tree = new CompactRange();
  for (const [index, leaf] of leaves.entries()) {
    tree.append(leaf);
    expect(Buffer.from(tree.root()).equals(rootOf(leaves.slice(0, index + 1)))).toBe(true);
  }
});

test('a clone goes its own way', () => {
  const tree = new CompactRange();
  tree.append(leafOf('aa'));
  const before = tree.root();
  const copy = tree.clone();
  copy.append(leafOf('bb'));
  expect(tree.root()).toEqual(before);
  expect(tree.size).toBe(1);
  expect(copy.size).toBe(2);
});

/** RFC 6962 §2.1, as it is written there. */
function rootOf(leaves: readonly Uint8Array[]): Buffer {
  const [first] = leaves;
  if (first !== undefined && leaves.length === 1) {
    return Buffer.from(first);
  }
  let split = 1;
  while (split * 2 < leaves.length) {
    split *= 2;
  }
  const node = [Uint8Array.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split))];
  return Buffer.from(hash('sha256', Buffer.concat(node), 'buffer'));
}
