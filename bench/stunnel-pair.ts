/** A TLS tunnel with nothing else in it: stunnel at both ends, on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificateAuthority, issueServerCertificate } from '../src/certificates.ts';
import { findProgram } from './find-program.ts';
import { freePort } from './free-port.ts';
import { HelperProcess } from './helper-process.ts';
import type { Tunnel, TunnelOptions } from './tunnel.ts';

const COMMON = [
  'foreground = yes',
  'pid =',
  'debug = err',
  'syslog = no',
  'sslVersionMin = TLSv1.3',
  // Small messages must not wait for more, as in all other lanes.
  'socket = l:TCP_NODELAY=1',
  'socket = r:TCP_NODELAY=1',
];

/** @returns undefined where stunnel is not installed. */
export async function startStunnelPair(options: TunnelOptions): Promise<Tunnel | undefined> {
  const { targetPort, watchdog } = options;
  const program = findProgram('stunnel', 'stunnel4');
  if (!program) {
    return undefined;
  }
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-stunnel-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string): string => join(directory, name);
  const authority = createCertificateAuthority({ name: 'hoop bench CA' });
  const certificate = issueServerCertificate(authority, {
    names: ['localhost'],
    ips: ['127.0.0.1'],
  });
  writeFileSync(file('ca.pem'), authority.certificate);
  writeFileSync(file('server.pem'), certificate.certificate);
  writeFileSync(file('server-key.pem'), certificate.privateKey, { mode: 0o600 });
  const tlsPort = await freePort();
  const port = await freePort();
  const start = async (name: string, listens: number, lines: readonly string[]) => {
    writeFileSync(file(`${name}.conf`), `${[...COMMON, `[${name}]`, ...lines].join('\n')}\n`);
    return stack.use(
      await HelperProcess.start({ program, args: [file(`${name}.conf`)], port: listens, watchdog }),
    );
  };
  const server = await start('server', tlsPort, [
    `accept = 127.0.0.1:${tlsPort}`,
    `connect = 127.0.0.1:${targetPort}`,
    `cert = ${file('server.pem')}`,
    `key = ${file('server-key.pem')}`,
  ]);
  const client = await start('client', port, [
    'client = yes',
    `accept = 127.0.0.1:${port}`,
    `connect = 127.0.0.1:${tlsPort}`,
    'verifyChain = yes',
    `CAfile = ${file('ca.pem')}`,
    'checkIP = 127.0.0.1',
  ]);
  const owned = stack.move();
  return {
    port,
    clientEnd: [client.processId],
    serverEnd: [server.processId],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
