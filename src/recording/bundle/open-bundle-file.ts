import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HoopError } from '../../errors.ts';
import type { BundleSource } from './bundle-source.ts';

/** Headers of neighbouring members come out of one read. */
const READ_AHEAD = 256 * 1024;

/** @throws HoopError HOOP_USAGE when the file cannot be opened */
export function openBundleFile(path: string): BundleSource & Disposable {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw new HoopError('HOOP_USAGE', `cannot read "${path}"`, { cause });
  }
  const { size } = fstatSync(fd);
  let window = new Uint8Array(0);
  let windowAt = 0;
  return {
    size,
    read(offset, length) {
      const inside = offset >= windowAt && offset + length <= windowAt + window.length;
      if (!inside) {
        // A new buffer each time: what was given out before stays what it was.
        const wanted = Math.max(length, Math.min(READ_AHEAD, size - offset));
        window = readAll(fd, offset, wanted);
        windowAt = offset;
      }
      return window.subarray(offset - windowAt, offset - windowAt + length);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function readAll(fd: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(fd, bytes, done, length - done, offset + done);
    if (count === 0) {
      throw new RangeError('read past the end of the bundle');
    }
    done += count;
  }
  return bytes;
}
