import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PlaceGone } from '../../../src/run/fence/explain-failure.ts';
import type { Layer } from '../../../src/run/fence/layers.ts';
import { mountOf, otherNames, parseMounts } from '../../../src/run/fence/mount-table.ts';
import { requireMounts, wrongMount } from '../../../src/run/fence/require-mounts.ts';

const HOST = `
27 1 8:1 / / rw,relatime - ext4 /dev/vda rw
22 27 0:21 / /proc rw - proc proc rw
24 27 0:6 / /dev rw - devtmpfs devtmpfs rw
30 27 8:2 / /home rw - ext4 /dev/vdb rw
31 27 8:2 /ann /mnt/of\\040ann rw shared:1 master:2 - ext4 /dev/vdb rw
32 27 8:2 /bob /mnt/of\\040ann/../bob rw - ext4 /dev/vdb rw
33 30 8:3 / /home/ann/data rw - ext4 /dev/vdc rw
34 33 8:4 / /home/ann/data rw - ext4 /dev/vdd rw
`;
const outside = parseMounts(HOST);

describe('the table of mounts', () => {
  test('leads to the uppermost of mounts on one place, blanks in names and all', () => {
    expect(mountOf(outside, '/home/ann/data/x')?.device).toBe('8:4');
    expect(mountOf(outside, '/home/ann')?.device).toBe('8:2');
    expect(mountOf(outside, '/mnt/of ann')?.root).toBe('/ann');
    expect(mountOf(outside, '/homely')?.device).toBe('8:1');
  });

  test('knows other names of what is mounted twice, and none where another mount stands', () => {
    expect(otherNames(outside, '/home/ann/.ssh')).toEqual(['/mnt/of ann/.ssh']);
    expect(otherNames(outside, '/mnt/of ann/.ssh')).toEqual(['/home/ann/.ssh']);
    expect(otherNames(outside, '/home/ann/data/x')).toEqual([]);
    // Hidden by what is mounted on it.
    expect(otherNames(outside, '/mnt/of ann/data')).toEqual([]);
    expect(otherNames(outside, '/etc')).toEqual([]);
  });
});

describe('the mounts of a fence', () => {
  const P = '/home/ann/project';
  const layers: readonly Layer[] = [
    { path: '/tmp', as: 'private', isDirectory: true },
    {
      path: '/home/ann',
      as: 'cut',
      isDirectory: true,
      entries: [{ name: 'notes' }, { name: 'data' }, { name: 'gone' }],
    },
    { path: P, as: 'writable', isDirectory: true },
    { path: `${P}/sub`, as: 'writable', isDirectory: true },
    { path: `${P}/sub/hooks`, as: 'readable', isDirectory: true },
    { path: `${P}/.env`, as: 'hidden', isDirectory: false },
    { path: `${P}/keys`, as: 'hidden', isDirectory: true },
    { path: `${P}/state`, as: 'shadowed', isDirectory: true, source: '/home/ann/.hoop/copy' },
    { path: '/dev/.input', as: 'readable', isDirectory: false, source: `${P}/in` },
  ];
  const RIGHT = [
    `60 59 8:1 / / ro - ext4 /dev/vda rw`,
    `61 60 0:40 / /dev rw - tmpfs tmpfs rw`,
    `62 61 0:6 /null /dev/null rw - devtmpfs devtmpfs rw`,
    `63 60 0:41 / /tmp rw - tmpfs tmpfs rw`,
    `64 60 8:2 / /home ro - ext4 /dev/vdb rw`,
    `65 64 0:42 / /home/ann ro - tmpfs tmpfs rw`,
    `66 65 8:2 /ann/notes /home/ann/notes ro - ext4 /dev/vdb rw`,
    `67 65 8:4 / /home/ann/data ro - ext4 /dev/vdd rw`,
    `70 65 8:2 /ann/project ${P} rw - ext4 /dev/vdb rw`,
    `71 70 8:2 /ann/project/sub ${P}/sub rw - ext4 /dev/vdb rw`,
    `72 71 8:2 /ann/project/sub/hooks ${P}/sub/hooks ro - ext4 /dev/vdb rw`,
    `73 70 0:6 /null ${P}/.env ro - devtmpfs devtmpfs rw`,
    `74 70 0:43 / ${P}/keys rw - tmpfs tmpfs rw`,
    `75 70 8:2 /ann/.hoop/copy ${P}/state rw - ext4 /dev/vdb rw`,
    `76 60 0:44 / /run rw - tmpfs tmpfs rw`,
    `77 61 8:2 /ann/project/in /dev/.input ro - ext4 /dev/vdb rw`,
  ];
  const wrong = (table: readonly string[]): string | undefined =>
    wrongMount(outside, parseMounts(table.join('\n')), layers);
  const instead = (id: string, row?: string): readonly string[] =>
    RIGHT.flatMap((one) => (one.startsWith(`${id} `) ? (row ?? []) : one));

  test('are as the view says', () => {
    expect(wrong(RIGHT)).toBeUndefined();
  });

  test.each([
    ['what a link names is mounted on the link', '71', `71 70 8:2 /bob ${P}/sub rw - ext4 x rw`],
    ['a link takes the mount elsewhere', '71', '71 64 8:2 /bob /home/bob rw - ext4 x rw'],
    ['it may be written', '72', `72 71 8:2 /ann/project/sub/hooks ${P}/sub/hooks rw - ext4 x rw`],
    ['of another file system', '70', `70 65 8:9 /ann/project ${P} rw - ext4 x rw`],
    ['the file itself', '73', `73 70 8:2 /ann/project/.env ${P}/.env ro - ext4 x rw`],
    ['the directory itself', '74', `74 70 8:2 /ann/project/keys ${P}/keys rw - ext4 x rw`],
    ['an old one', '63', '63 60 8:1 /tmp /tmp rw - ext4 x rw'],
    ['the real state', '75', `75 70 8:2 /ann/project/state ${P}/state rw - ext4 x rw`],
    ['an entry that was a link', '66', '66 65 8:2 /ann/.ssh /home/ann/notes ro - ext4 x rw'],
    ['what a link for the input names', '77', '77 61 8:2 /ann/.ssh/id /dev/.input ro - ext4 x rw'],
    ['a root that may be written', '60', '60 59 8:1 / / rw - ext4 x rw'],
  ])('a mount is not the right one: %s', (_, id, row) => {
    expect(wrong(instead(id, row))).toBeDefined();
  });

  test.each(['63', '65', '70', '71', '72', '73', '74', '75', '77'])('mount %s is missing', (id) => {
    expect(wrong(instead(id))).toBeDefined();
  });

  test('one more, on what is hidden or anywhere else', () => {
    const more = '80 65 8:2 /ann /home/ann rw - ext4 x rw';
    expect(wrong([...RIGHT, more])).toBe('/home/ann');
    expect(wrong([...RIGHT, '80 60 8:2 /ann /srv/x rw - ext4 x rw'])).toBe('/srv/x');
    // What came later or is gone meanwhile is nobody's attack.
    expect(wrong(instead('66'))).toBeUndefined();
    const removed = (root: string) =>
      instead('66', `66 65 8:2 ${root} /home/ann/notes ro - ext4 x rw`);
    expect(wrong(removed('/ann/notes//deleted'))).toBeUndefined();
    expect(wrong(removed('/ann/.ssh//deleted'))).toBe('/home/ann/notes');
  });
});

test('a place that is gone can be looked at anew, and one that is another cannot', () => {
  const failure = (path: string): unknown => {
    try {
      return requireMounts(process.pid, [{ path, as: 'readable', isDirectory: true }]);
    } catch (error) {
      return error;
    }
  };
  expect(failure(join(import.meta.dirname, 'gone'))).toBeInstanceOf(PlaceGone);
  expect(failure(import.meta.dirname)).not.toBeInstanceOf(PlaceGone);
  expect(failure(import.meta.dirname)).toMatchObject({ code: 'HOOP_FENCE' });
});
