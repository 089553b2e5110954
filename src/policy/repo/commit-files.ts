/** What `git ls-tree` and `git cat-file` say about the files of a commit, taken with distrust. */
import { HoopError } from '../../errors.ts';

export interface TreeFile {
  readonly path: string;
  readonly object: string;
  readonly size: number;
}

/** Files in the repository, ours or not. */
const MAX_TREE_ENTRIES = 5000;
/** Bytes of one policy file, and of all. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_TOTAL_BYTES = 16 * 1024 * 1024;

/** `<mode> <type> <object> <size>\t<path>\0`, https://git-scm.com/docs/git-ls-tree */
export function parseListing(listing: Buffer, wanted: (path: string) => boolean): TreeFile[] {
  const records = listing
    .toString('utf8')
    .split('\0')
    .filter((record) => record !== '');
  if (records.length > MAX_TREE_ENTRIES) {
    throw invalid(`the policy repository holds more than ${MAX_TREE_ENTRIES} files`);
  }
  const files: TreeFile[] = [];
  let total = 0;
  for (const record of records) {
    const [, mode = '', object = '', size = '', path = ''] =
      /^([0-7]{6}) \w+ ([0-9a-f]+) +([0-9]+|-)\t(.*)$/s.exec(record) ?? [];
    const shown = JSON.stringify(path);
    if (path === '' || /[\0-\x1f\x7f\ufffd]/.test(path)) {
      throw invalid(`the policy repository holds a file with a strange name: ${shown}`);
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
    files.push({ path, object, size: Number(size) });
  }
  return files;
}

/** `<object> blob <size>\n<contents>\n` each, in the order asked for. */
export function splitBlobs(output: Buffer, files: readonly TreeFile[]): Map<string, string> {
  const texts = new Map<string, string>();
  let offset = 0;
  for (const { path, object, size } of files) {
    const header = `${object} blob ${size}\n`;
    const start = offset + header.length;
    if (output.toString('latin1', offset, start) !== header || start + size >= output.length) {
      throw new HoopError('HOOP_POLICY_FETCH', `git did not return ${JSON.stringify(path)}`);
    }
    const bytes = output.subarray(start, start + size);
    try {
      texts.set(path, new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch {
      throw invalid(`${JSON.stringify(path)} is not UTF-8 text`);
    }
    offset = start + size + 1;
  }
  return texts;
}

function invalid(message: string): HoopError {
  return new HoopError('HOOP_POLICY_INVALID', message);
}
