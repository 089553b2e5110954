import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { TargetCatalogs } from '../../../../src/connectors/postgres/gateway/target-catalogs.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parser.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { hostAt, targetOf } from './test-target.ts';

test('a query that is never answered does not hold up the end of the gateway', async () => {
  await using postgres = await startTestPostgres();
  await using parser = SqlParser.create();
  // The way to the target: forgets what the target says from the moment it is told to.
  const sockets: Socket[] = [];
  let isSilent = false;
  const asked = Promise.withResolvers<void>();
  const way = createServer((near) => {
    const far = connect(postgres.port, postgres.host);
    sockets.push(near, far);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    far.on('data', (bytes) => !isSilent && near.write(bytes));
    near.on('data', (bytes) => {
      far.write(bytes);
      if (isSilent) {
        asked.resolve();
      }
    });
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  const catalogs = new TargetCatalogs(parser);
  // A TCP server has an address with a port.
  const { port } = way.address() as AddressInfo;
  const source = catalogs.source(targetOf(postgres, { hosts: [hostAt(port)] }));
  await source.current();
  isSilent = true;
  const refresh = source.refresh();
  const refused = expect(refresh).rejects.toMatchObject({ code: 'HOOP_SESSION_ENDED' });
  await asked.promise;
  await catalogs[Symbol.asyncDispose]();
  await refused;
  for (const socket of sockets) {
    socket.destroy();
  }
  way.close();
  await once(way, 'close');
});
