import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FileRecord } from '../../../../src/recording/formats/file-record.ts';
import { ALLOW, refuse, SftpHarness } from './sftp-harness.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Records of files that were moved, by name. */
function moved(records: readonly FileRecord[], path: string): FileRecord | undefined {
  return records.find((record) => record.path === path && (record.read ?? record.written));
}

describe('sftp(1) through the inspector', () => {
  test('put and get a big file: the same bytes, and their digest in the record', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    const bytes = randomBytes(20_000_003);
    writeFileSync(join(root, 'here'), bytes);
    const done = await harness.sftp(['put here there', 'get there back']);
    expect(done.stderr).toBe('');
    expect(done.exitCode).toBe(0);
    expect(readFileSync(join(root, 'back')).equals(bytes)).toBe(true);
    const records = harness.records.filter(({ path }) => path === join(root, 'there'));
    expect(records).toMatchObject([
      {
        operation: 'write',
        flags: ['write', 'create', 'truncate'],
        status: 0,
        written: { bytes: bytes.length, from: 0, sha256: sha256(bytes), whole: true },
      },
      {
        operation: 'read',
        flags: ['read'],
        status: 0,
        read: { bytes: bytes.length, from: 0, sha256: sha256(bytes), whole: true },
      },
    ]);
    expect(harness.failures).toEqual([]);
  });

  test('many requests at once and small buffers are hashed all the same', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    const bytes = randomBytes(3_000_001);
    writeFileSync(join(root, 'here'), bytes);
    const done = await harness.sftp(
      ['put here there', 'get there back'],
      ['-R', '500', '-B', '1000'],
    );
    expect(done.exitCode).toBe(0);
    expect(harness.records.map((record) => (record.read ?? record.written)?.sha256)).toEqual([
      sha256(bytes),
      sha256(bytes),
    ]);
  });

  test('an upload that goes on where it broke off has the digest of its part', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    const bytes = randomBytes(100_000);
    writeFileSync(join(root, 'here'), bytes);
    writeFileSync(join(root, 'there'), bytes.subarray(0, 40_000));
    writeFileSync(join(root, 'back'), bytes.subarray(0, 70_000));
    const done = await harness.sftp(['reput here there', 'reget there back']);
    expect(done.exitCode).toBe(0);
    expect(readFileSync(join(root, 'there')).equals(bytes)).toBe(true);
    expect(readFileSync(join(root, 'back')).equals(bytes)).toBe(true);
    const [up, down] = harness.records.filter(({ path }) => path === join(root, 'there'));
    expect(up?.written).toMatchObject({ bytes: 60_000, sha256: sha256(bytes.subarray(40_000)) });
    expect(up?.written?.whole).toBeUndefined();
    expect(down?.read).toMatchObject({
      bytes: 30_000,
      from: 70_000,
      sha256: sha256(bytes.subarray(70_000)),
    });
    expect(down?.read?.whole).toBeUndefined();
  });

  test('folders, names, links, modes and times: each is decided and recorded', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    writeFileSync(join(root, 'file'), 'text');
    const done = await harness.sftp([
      'mkdir folder',
      'put file folder/a',
      'rename folder/a folder/b',
      'ln -s b folder/link',
      'chmod 600 folder/link',
      'ls -l folder',
      'df folder',
      'rm folder/link',
      'rm folder/b',
      'rmdir folder',
    ]);
    expect(done.stderr).toBe('');
    expect(done.exitCode).toBe(0);
    const folder = join(root, 'folder');
    expect(
      harness.records.map(({ operation, path, to, status }) => ({ operation, path, to, status })),
    ).toEqual([
      { operation: 'mkdir', path: folder, to: undefined, status: 0 },
      { operation: 'write', path: `${folder}/a`, to: undefined, status: 0 },
      { operation: 'rename', path: `${folder}/a`, to: `${folder}/b`, status: 0 },
      { operation: 'symlink', path: `${folder}/link`, to: `${folder}/b`, status: 0 },
      // What a link leads to is what gets another mode.
      { operation: 'setstat', path: `${folder}/b`, to: undefined, status: 0 },
      { operation: 'remove', path: `${folder}/link`, to: undefined, status: 0 },
      { operation: 'remove', path: `${folder}/b`, to: undefined, status: 0 },
      { operation: 'rmdir', path: folder, to: undefined, status: 0 },
    ]);
    expect(new Set(harness.acts.map(({ operation }) => operation))).toEqual(
      new Set([
        'mkdir',
        'stat',
        'write',
        'rename',
        'symlink',
        'setstat',
        'list',
        'remove',
        'rmdir',
      ]),
    );
  });

  test('a folder goes up and down with all that is in it', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    mkdirSync(join(root, 'tree/deep/er'), { recursive: true });
    for (let number = 0; number < 30; number++) {
      writeFileSync(join(root, `tree/deep/er/${number}`), randomBytes(number * 1000));
    }
    const done = await harness.sftp(['put -pR tree copy', 'get -pR copy back']);
    expect(done.exitCode).toBe(0);
    for (let number = 0; number < 30; number++) {
      const name = `deep/er/${number}`;
      const bytes = readFileSync(join(root, 'tree', name));
      expect(readFileSync(join(root, 'back', name)).equals(bytes)).toBe(true);
      expect(moved(harness.records, join(root, 'copy', name))).toBeDefined();
    }
  });

  test('a folder of 10 000 files is listed', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    mkdirSync(join(root, 'many'));
    for (let number = 0; number < 10_000; number++) {
      writeFileSync(join(root, 'many', `file-${number}`), '');
    }
    const done = await harness.sftp(['ls -l many']);
    expect(done.exitCode).toBe(0);
    expect(done.stdout.split('\n').filter((line) => line.includes('file-'))).toHaveLength(10_000);
  });

  test('hardlink is not offered', async () => {
    await using harness = await new SftpHarness().listen();
    writeFileSync(join(harness.root, 'file'), 'x');
    const hard = await harness.sftp(['ln file other']);
    expect(hard.stderr).toContain('hardlink@openssh.com extension');
  });

  test('cp copies on the server: both files are decided, and both records say where from and to', async () => {
    await using harness = await new SftpHarness({
      decide: ({ path }) => (path.endsWith('secret') ? refuse('denied') : ALLOW),
    }).listen();
    const { root } = harness;
    writeFileSync(join(root, 'file'), 'bytes');
    writeFileSync(join(root, 'secret'), 'hidden');
    const done = await harness.sftp(['cp file other']);
    expect(done).toMatchObject({ exitCode: 0, stderr: '' });
    expect(readFileSync(join(root, 'other'), 'utf8')).toBe('bytes');
    expect(moved(harness.records, join(root, 'file'))?.read).toMatchObject({
      notHashed: `copied on the server to ${join(root, 'other')}`,
    });
    expect(moved(harness.records, join(root, 'other'))?.written).toMatchObject({
      notHashed: `copied on the server from ${join(root, 'file')}`,
    });
    expect((await harness.sftp(['cp secret mine'])).stderr).toContain('denied');
    expect((await harness.sftp(['cp file secret'])).stderr).toContain('denied');
    expect(readFileSync(join(root, 'secret'), 'utf8')).toBe('hidden');
  });
});

describe('scp(1) through the inspector', () => {
  test('files and folders go both ways', async () => {
    await using harness = await new SftpHarness().listen();
    const { root } = harness;
    const bytes = randomBytes(2_000_000);
    mkdirSync(join(root, 'tree'));
    writeFileSync(join(root, 'tree/a'), bytes);
    const up = await harness.scp('-pr', 'tree', `host:${root}/up`);
    expect([up.stderr, up.exitCode]).toEqual(['', 0]);
    const down = await harness.scp('-pr', `host:${root}/up`, 'down');
    expect([down.stderr, down.exitCode]).toEqual(['', 0]);
    expect(readFileSync(join(root, 'down/a')).equals(bytes)).toBe(true);
    expect(
      harness.records
        .filter((record) => record.path === join(root, 'up/a') && record.operation !== 'setstat')
        .map((record) => record.read ?? record.written),
    ).toMatchObject([{ sha256: sha256(bytes) }, { sha256: sha256(bytes) }]);
  });
});

describe('rules about paths', () => {
  const onlyIn = (allowed: string) => (harness: { root: string }) => (path: string) =>
    path === join(harness.root, allowed) || path.startsWith(`${join(harness.root, allowed)}/`);

  /** All is allowed below `open`, and what only looks everywhere. */
  async function harnessOf(): Promise<SftpHarness> {
    const harness: SftpHarness = new SftpHarness({
      decide: ({ operation, path, to }) => {
        const isOpen = onlyIn('open')(harness);
        return operation === 'stat' || [path, to ?? path].every(isOpen)
          ? ALLOW
          : refuse(`denied by rule "only open": ${operation} of "${path}"`, 'Ask the owners.');
      },
    });
    mkdirSync(join(harness.root, 'open'));
    mkdirSync(join(harness.root, 'closed'));
    writeFileSync(join(harness.root, 'closed/secret'), 'secret');
    return await harness.listen();
  }

  test('what is denied says why, and the channel goes on', async () => {
    await using harness = await harnessOf();
    const done = await harness.sftp(['-get closed/secret stolen', 'mkdir open/folder']);
    expect(done.exitCode).toBe(0);
    expect(done.stderr).toContain('Permission denied');
    expect(harness.stderr).toContain('denied by rule "only open": read of');
    expect(harness.stderr).toContain('hoop: Ask the owners.');
    expect(existsSync(join(harness.root, 'stolen'))).toBe(false);
    expect(existsSync(join(harness.root, 'open/folder'))).toBe(true);
  });

  test('dots do not lead out', async () => {
    await using harness = await harnessOf();
    const { root } = harness;
    const done = await harness.sftp([
      `-get open/../closed/secret stolen`,
      `-get ${root}/open/./x/../../closed//secret stolen`,
      `-put open/../closed/secret open/../closed/new`,
    ]);
    expect(done.stderr).toContain('Permission denied');
    expect(existsSync(join(root, 'stolen'))).toBe(false);
    expect(readdirSync(join(root, 'closed'))).toEqual(['secret']);
  });

  test('links do not lead out, whether they are followed at the end or on the way', async () => {
    await using harness = await harnessOf();
    const { root } = harness;
    symlinkSync('../closed/secret', join(root, 'open/relative'));
    symlinkSync(join(root, 'closed'), join(root, 'open/absolute'));
    symlinkSync('absolute', join(root, 'open/twice'));
    symlinkSync(join(root, 'closed/dangling'), join(root, 'open/dangling'));
    for (const path of [
      'open/relative',
      'open/absolute/secret',
      'open/twice/secret',
      'open/twice/../closed/secret',
    ]) {
      const done = await harness.sftp([`-get ${path} stolen`]);
      expect(done.stderr, path).toContain('Permission denied');
    }
    writeFileSync(join(root, 'mine'), 'mine');
    for (const command of [
      'put mine open/relative',
      'put mine open/dangling',
      'put mine open/absolute/new',
      'mkdir open/absolute/new',
      'rm open/absolute/secret',
      'rename open/absolute/secret open/secret',
      'chmod 777 open/relative',
      'ls open/absolute',
      'ln -s ../closed/secret open/another',
    ]) {
      const done = await harness.sftp([`-${command}`]);
      expect(harness.stderr, command).not.toBe('');
      expect(done.stderr, command).toMatch(/denied|failure/i);
      harness.stderr = '';
    }
    expect(existsSync(join(root, 'stolen'))).toBe(false);
    expect(readdirSync(join(root, 'closed'))).toEqual(['secret']);
    expect(readFileSync(join(root, 'closed/secret'), 'utf8')).toBe('secret');
  });

  test('links inside of what is allowed work as always', async () => {
    await using harness = await harnessOf();
    const { root } = harness;
    mkdirSync(join(root, 'open/releases/7'), { recursive: true });
    writeFileSync(join(root, 'open/releases/7/app'), 'seven');
    symlinkSync('releases/7', join(root, 'open/current'));
    const done = await harness.sftp([
      'get open/current/app got',
      'put got open/current/other',
      'ln -s releases/7 open/next',
      'rename open/next open/after',
      'rm open/current',
    ]);
    expect([done.stderr, done.exitCode]).toEqual(['', 0]);
    expect(readFileSync(join(root, 'open/releases/7/other'), 'utf8')).toBe('seven');
    expect(existsSync(join(root, 'open/current'))).toBe(false);
    expect(readlinkSync(join(root, 'open/after'))).toBe('releases/7');
    const put = harness.records.find(({ operation }) => operation === 'write');
    expect(put).toMatchObject({
      path: join(root, 'open/releases/7/other'),
      asked: join(root, 'open/current/other'),
    });
  });

  test('a denied path does not tell whether it is there', async () => {
    await using harness = await harnessOf();
    const there = await harness.sftp(['-rm closed/secret']);
    const absent = await harness.sftp(['-rm closed/nothing', '-mkdir closed/no/thing']);
    expect(there.stderr).toContain('Permission denied');
    expect(absent.stderr).not.toContain('No such file');
  });

  test('a busy log can be read while it grows', async () => {
    await using harness = await harnessOf();
    const log = join(harness.root, 'open/log');
    writeFileSync(log, 'first\n');
    const timer = setInterval(() => appendFileSync(log, 'more\n'), 1);
    const done = await harness.sftp(Array.from({ length: 20 }, () => 'get open/log got'));
    clearInterval(timer);
    expect([done.stderr, done.exitCode]).toEqual(['', 0]);
    expect(lstatSync(join(harness.root, 'got')).size).toBeGreaterThan(0);
  });
});
