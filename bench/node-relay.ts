/** A bare relay in Node.js at both ends of a TLS connection, on loopback: see node-relay-end.ts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCertificateAuthority, issueServerCertificate } from '../src/certificates.ts';
import { freePort } from './free-port.ts';
import { HelperProcess } from './helper-process.ts';
import type { Tunnel, TunnelOptions } from './tunnel.ts';

const END = fileURLToPath(new URL('./node-relay-end.ts', import.meta.url));

export async function startNodeRelay({ targetPort, watchdog }: TunnelOptions): Promise<Tunnel> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-relay-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const authority = createCertificateAuthority({ name: 'hoop bench CA' });
  const { certificate, privateKey } = issueServerCertificate(authority, {
    names: ['localhost'],
    ips: ['127.0.0.1'],
  });
  const start = async (side: string, to: number, files: readonly string[]) => {
    const port = await freePort();
    const args = [END, side, `${port}`, `${to}`, ...files];
    const end = await HelperProcess.start({ program: process.execPath, args, port, watchdog });
    return { port, processId: stack.use(end).processId };
  };
  const server = await start('server', targetPort, [
    file('server.pem', certificate),
    file('server-key.pem', privateKey),
  ]);
  const client = await start('client', server.port, [file('ca.pem', authority.certificate)]);
  const owned = stack.move();
  return {
    port: client.port,
    clientEnd: [client.processId],
    serverEnd: [server.processId],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
