/**
 * A link with a delay, between two ports of loopback: what comes is passed on that much later, in each
 * direction, as fast as it came. It has no packets, no loss and no limit of bandwidth, and lets so many
 * bytes be on the way as fit into it.
 *
 * `node delayed-link-end.ts LISTEN_PORT TO_PORT MILLISECONDS`, half a round trip
 */
import { connect, createServer, type Socket } from 'node:net';

/** More than any window between two ends: only they decide how much is on the way. */
const CAPACITY_BYTES = 32 * 1024 * 1024;

const [listens = '', to = '', delay = ''] = process.argv.slice(2);
const delayMs = Number(delay);

// Half open: an end takes as long as what came before it.
createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  const far = connect({
    host: '127.0.0.1',
    port: Number(to),
    noDelay: true,
    allowHalfOpen: true,
  });
  pass(near, far);
  pass(far, near);
}).listen(Number(listens), '127.0.0.1');

function pass(from: Socket, into: Socket): void {
  const onTheWay: { readonly due: number; readonly chunk: Buffer | undefined }[] = [];
  let bytes = 0;
  let isPlanned = false;
  const deliver = (): void => {
    isPlanned = false;
    const now = performance.now();
    into.cork();
    for (let [first] = onTheWay; first !== undefined && first.due <= now; [first] = onTheWay) {
      onTheWay.shift();
      if (first.chunk === undefined) {
        into.end();
      } else {
        const { length } = first.chunk;
        into.write(first.chunk, () => {
          bytes -= length;
          if (bytes < CAPACITY_BYTES) {
            from.resume();
          }
        });
      }
    }
    into.uncork();
    plan();
  };
  const plan = (): void => {
    const [first] = onTheWay;
    if (first !== undefined && !isPlanned) {
      isPlanned = true;
      setTimeout(deliver, first.due - performance.now());
    }
  };
  const enter = (chunk: Buffer | undefined): void => {
    onTheWay.push({ due: performance.now() + delayMs, chunk });
    plan();
  };
  from.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes >= CAPACITY_BYTES) {
      from.pause();
    }
    enter(chunk);
  });
  from.on('end', () => enter(undefined));
  from.on('error', () => into.destroy());
  from.on('close', () => {
    if (!from.readableEnded) {
      into.destroy();
    }
  });
}
