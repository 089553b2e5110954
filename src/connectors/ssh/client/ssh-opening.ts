/**
 * The first bytes of a local connection. Browsers and scanners are closed without a word: what
 * speaks SSH says so at once (RFC 4253 §4.2). ssh2 would read 8 KiB of anything first.
 */
import type { Socket } from 'node:net';
import { LocalRefusal } from '../../../tunnel/local-refusal.ts';

const BEGINS = Buffer.from('SSH-2.0-');
/** RFC 4253 §4.2, with CR and LF. */
const MAX_IDENTIFICATION_BYTES = 255;
const LF = 10;

/** Watches without taking anything; who reads the socket is somebody else. */
export function watchOpening(socket: Socket, refuse: (refusal: LocalRefusal) => void): void {
  let seen = 0;
  let start = '';
  const onData = (chunk: Buffer): void => {
    const end = chunk.indexOf(LF);
    start += chunk.toString('latin1', 0, BEGINS.length - Math.min(seen, BEGINS.length));
    seen += end === -1 ? chunk.length : end + 1;
    const hasSoftware = end === -1 || seen > BEGINS.length + 1;
    const isBegun =
      hasSoftware && BEGINS.subarray(0, start.length).equals(Buffer.from(start, 'latin1'));
    if (!isBegun || seen > MAX_IDENTIFICATION_BYTES) {
      socket.off('data', onData);
      socket.destroy();
      refuse(new LocalRefusal(/^[A-Z]{3,} /.test(start) ? 'HTTP' : 'garbage'));
    } else if (end !== -1) {
      socket.off('data', onData);
    }
  };
  // Ahead of ssh2's own, which comes with the next turn.
  socket.prependListener('data', onData);
}
