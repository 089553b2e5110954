/** A real server of its own for one test file. */
import { afterAll, beforeAll } from 'vitest';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import type { PostgresTarget } from '../../../../src/connectors/postgres/gateway/types.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import type { TargetHost } from '../../../../src/gateway/targets/target-host.ts';
import { Secret } from '../../../../src/secret.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { RawClient } from './raw-client.ts';

export interface TestTarget {
  readonly server: () => EmbeddedPostgres;
  readonly target: () => PostgresTarget;
  /** Runs SQL as superuser, past the engine. @returns the rows of the last result. */
  readonly sql: (text: string) => Promise<readonly (readonly (string | null)[])[]>;
  /** A client of the server itself, with an allow-all engine that does nothing, to compare with. */
  readonly direct: () => Promise<RawClient>;
}

/** The server as a target, with what a policy file that says nothing more would give. */
export function targetOf(
  server: Pick<EmbeddedPostgres, 'port' | 'user' | 'password'>,
  changes: Partial<PostgresTarget> = {},
): PostgresTarget {
  return {
    name: 'test-db',
    hosts: [hostAt(server.port)],
    sessionAttributes: 'any',
    kind: 'postgres',
    database: 'postgres',
    credentialName: 'test-db',
    user: server.user,
    password: new Secret(server.password),
    clientCertificate: undefined,
    methods: ['scram-sha-256', 'md5', 'password', 'none'],
    tls: { mode: 'prefer', ca: undefined, negotiation: 'postgres', channelBinding: 'prefer' },
    connectTimeoutMs: 60_000,
    maxMessageBytes: 64 * 1024 * 1024,
    ...changes,
  };
}

export function hostAt(port: number, host = '127.0.0.1'): TargetHost {
  return { host, port, shown: `${host}:${port}` };
}

export function testTarget(setup = ''): TestTarget {
  let server: EmbeddedPostgres | undefined;
  const started = (): EmbeddedPostgres => {
    if (server === undefined) throw new Error('the server is not up yet');
    return server;
  };
  const target = (): PostgresTarget => targetOf(started());
  const sql: TestTarget['sql'] = async (text) => {
    await using connection = await connectTarget({
      target: target(),
      signal: new AbortController().signal,
    });
    return await connection.query(text);
  };
  beforeAll(async () => {
    server = await startTestPostgres();
    if (setup !== '') await sql(setup);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  return {
    server: started,
    target,
    sql,
    direct: async () => {
      const connection = await connectTarget({
        target: target(),
        signal: new AbortController().signal,
      });
      return new RawClient(connection.socket);
    },
  };
}
