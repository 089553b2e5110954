/**
 * One end of a bare relay: what a proxy in Node.js costs at least. It passes chunks on as they come,
 * finds the message boundaries of both directions and hashes every byte once, and does nothing else.
 *
 * `node node-relay-end.ts client LISTEN_PORT TO_PORT CA_FILE`
 * `node node-relay-end.ts server LISTEN_PORT TO_PORT CERTIFICATE_FILE KEY_FILE`
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

const [side = '', listens = '', to = '', first = '', second = ''] = process.argv.slice(2);
const port = Number(to);

if (side === 'client') {
  const ca = readFileSync(first);
  createServer({ noDelay: true }, (local) => {
    join(local, connectTls({ host: '127.0.0.1', port, ca, minVersion: 'TLSv1.3' }));
  }).listen(Number(listens), '127.0.0.1');
} else {
  const identity = { cert: readFileSync(first), key: readFileSync(second) };
  createTlsServer({ ...identity, minVersion: 'TLSv1.3' }, (tunnel) => {
    join(tunnel, connect({ host: '127.0.0.1', port }));
  }).listen(Number(listens), '127.0.0.1');
}

function join(one: Socket, other: Socket): void {
  pass(one, other);
  pass(other, one);
}

function pass(from: Socket, into: Socket): void {
  const hash = createHash('sha256');
  const scan = messageScanner();
  from.setNoDelay(true);
  from.on('data', (chunk) => {
    hash.update(chunk);
    scan(chunk);
    if (!into.write(chunk)) {
      from.pause();
      into.once('drain', () => from.resume());
    }
  });
  from.on('end', () => into.end());
  from.on('error', () => into.destroy());
  from.on('close', () => into.destroy());
}

/** PostgreSQL's messages: a type and a length of four bytes that counts itself. The first has no type. */
function messageScanner(): (chunk: Buffer) => number {
  let messages = 0;
  let header = 4;
  let seen = 0;
  let length = 0;
  let skip = 0;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at);
        skip -= step;
        at += step;
      } else {
        const byte = chunk[at] ?? 0;
        at += 1;
        seen += 1;
        if (seen > header - 4) {
          length = (length * 256 + byte) >>> 0;
        }
        if (seen === header) {
          skip = Math.max(0, length - 4);
          header = 5;
          seen = 0;
          length = 0;
          messages += 1;
        }
      }
    }
    return messages;
  };
}
