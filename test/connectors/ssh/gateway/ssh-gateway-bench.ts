/** A gateway with a real server as its target, and sessions on it. */
import type { OpensshServer } from '../../../../src/demo/openssh-server.ts';
import { type GatewayBench, startGatewayBench } from '../../../gateway/gateway-bench.ts';
import { TestSession, type TestStream } from '../../../gateway/test-session.ts';
import { FramesClient } from './frames-client.ts';
import { startTestSshd } from './test-sshd.ts';

export interface SshClientStream {
  readonly stream: TestStream;
  readonly client: FramesClient;
}

export interface BegunSession extends SshClientStream {
  readonly session: TestSession;
  /** One more stream, whose client has said nothing yet. */
  another(number: number): Promise<SshClientStream>;
}

export class SshGatewayBench implements AsyncDisposable {
  readonly server: OpensshServer;
  readonly gateway: GatewayBench;

  private constructor(server: OpensshServer, gateway: GatewayBench) {
    this.server = server;
    this.gateway = gateway;
  }

  static async start(): Promise<SshGatewayBench> {
    const server = await startTestSshd();
    try {
      return new SshGatewayBench(server, await startGatewayBench({ server }));
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A session of an engineer in which the command runs, on stream 1. */
  async begin(command: string, target = 'web-1'): Promise<BegunSession> {
    const session = await TestSession.open(this.gateway, 'engineer', { target });
    const another = async (number: number): Promise<SshClientStream> => {
      const stream = await session.openStream(number, 'multiplexed', 'ssh');
      return { stream, client: new FramesClient(stream) };
    };
    const { stream, client } = await another(1);
    await client.start(command);
    return { session, stream, client, another };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}
