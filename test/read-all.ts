import type { Readable } from 'node:stream';

/** What has come so far, whole: from Node.js 26 on, `read()` gives one piece of it at a time. */
export function readAll(stream: Readable): Buffer {
  const pieces: Buffer[] = [];
  for (let piece = stream.read(); piece !== null; piece = stream.read()) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

/** All that comes until the other side has closed its half; from Node.js 26 on, `buffer` closes ours too. */
export async function readHalf(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream.iterator({ destroyOnReturn: false })));
}
