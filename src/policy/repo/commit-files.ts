/** What `git ls-tree` and `git cat-file` say about the files of a commit, taken with distrust. */
import { createHash } from 'node:crypto';
import { HoopError } from '../../errors.ts';

export interface TreeFile {
  readonly path: string;
  readonly object: string;
  readonly size: number;
}

export interface Listing {
  readonly files: readonly TreeFile[];
  /** All directories but the topmost, by their objects. */
  readonly trees: readonly string[];
}

export interface StoredObject {
  readonly object: string;
  readonly type: string;
  readonly content: Buffer;
}

/** Files and directories in the repository, ours or not. */
const MAX_TREE_ENTRIES = 5000;
/** Bytes of one policy file, and of all. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_TOTAL_BYTES = 16 * 1024 * 1024;

/** `<mode> <type> <object> <size>\t<path>\0`, https://git-scm.com/docs/git-ls-tree */
export function parseListing(listing: Buffer, wanted: (path: string) => boolean): Listing {
  const records = listing
    .toString('utf8')
    .split('\0')
    .filter((record) => record !== '');
  if (records.length > MAX_TREE_ENTRIES) {
    throw invalid(`the policy repository contains more than ${MAX_TREE_ENTRIES} files`);
  }
  const files: TreeFile[] = [];
  const trees: string[] = [];
  const paths = new Set<string>();
  let total = 0;
  for (const record of records) {
    const [, mode = '', object = '', size = '', path = ''] =
      /^([0-7]{6}) \w+ ([0-9a-f]+) +([0-9]+|-)\t(.*)$/s.exec(record) ?? [];
    const shown = JSON.stringify(path);
    if (path === '' || /[\0-\x1f\x7f\ufffd]/.test(path)) {
      throw invalid(`the policy repository contains a file with an unusual name: ${shown}`);
    }
    if (mode === '040000') {
      trees.push(object);
      continue;
    }
    if (!wanted(path)) {
      continue;
    }
    if (mode === '120000' || mode === '160000') {
      throw invalid(
        `${shown} is a ${mode === '120000' ? 'symbolic link' : 'submodule'}, not a file`,
      );
    }
    total += Number(size);
    if (Number(size) > MAX_FILE_BYTES || total > MAX_TOTAL_BYTES) {
      throw invalid(`${shown} makes the policy larger than hoop reads`);
    }
    if (paths.has(path)) {
      throw invalid(`the policy repository has two files of the name ${shown}`);
    }
    paths.add(path);
    files.push({ path, object, size: Number(size) });
  }
  return { files, trees };
}

/** `<object> <type> <size>\n<contents>\n` each, https://git-scm.com/docs/git-cat-file#_batch_output */
export function splitObjects(output: Buffer): StoredObject[] {
  const objects: StoredObject[] = [];
  for (let offset = 0; offset < output.length; ) {
    const start = output.indexOf('\n', offset) + 1;
    const [object = '', type = '', size = ''] = output.toString('latin1', offset, start).split(' ');
    const end = start + Number(size);
    if (start === 0 || !(end < output.length)) {
      throw new HoopError('HOOP_POLICY_FETCH', 'git did not return what the policy consists of');
    }
    objects.push({ object, type, content: output.subarray(start, end) });
    offset = end + 1;
  }
  return objects;
}

/** git itself believes the names of its files. */
export function isIntact({ object, type, content }: StoredObject): boolean {
  const hash = createHash(object.length === 64 ? 'sha256' : 'sha1');
  return hash.update(`${type} ${content.length}\0`).update(content).digest('hex') === object;
}

/** @param blobs in the order of the files */
export function textsOf(
  files: readonly TreeFile[],
  blobs: readonly StoredObject[],
): Map<string, string> {
  return new Map(
    files.map(({ path, object }, index) => {
      const blob = blobs[index];
      if (blob?.object !== object || blob.type !== 'blob') {
        throw new HoopError('HOOP_POLICY_FETCH', `git did not return ${JSON.stringify(path)}`);
      }
      try {
        return [path, new TextDecoder('utf-8', { fatal: true }).decode(blob.content)];
      } catch {
        throw invalid(`${JSON.stringify(path)} is not UTF-8 text`);
      }
    }),
  );
}

function invalid(message: string): HoopError {
  return new HoopError('HOOP_POLICY_INVALID', message);
}
