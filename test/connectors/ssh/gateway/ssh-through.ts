import { duplexPair } from 'node:stream';
import { systemResolver } from '../../../../src/connectors/ssh/gateway/name-resolver.ts';
import { serveSshStream } from '../../../../src/connectors/ssh/gateway/serve-ssh-stream.ts';
import type { SshStreamLimits } from '../../../../src/connectors/ssh/gateway/types.ts';
import { decideSsh } from '../../../../src/connectors/ssh/policy/decide-ssh.ts';
import type { OpensshServer, OpensshServerOptions } from '../../../../src/demo/openssh-server.ts';
import { StreamAudit } from '../../../../src/gateway/audit/stream-audit.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import { auditSink } from '../../../gateway/audit-sink.ts';
import { SshPortFixture } from '../client/ssh-client.ts';
import { SshStreamBench } from './ssh-stream-bench.ts';

type EventOf<T extends RecordingEvent['type']> = Extract<RecordingEvent, { readonly type: T }>;

export interface ThroughOptions {
  readonly nameServer?: string;
  readonly server?: OpensshServerOptions | undefined;
  readonly limits?: Partial<SshStreamLimits>;
}

/** OpenSSH's clients at the local port, the engine behind it, and OpenSSH's server behind that. */
export class SshThrough implements AsyncDisposable {
  readonly local: SshPortFixture;
  readonly #bench: SshStreamBench;
  readonly #events: RecordingEvent[] = [];
  readonly #streams: Promise<unknown>[] = [];

  private constructor(local: SshPortFixture, bench: SshStreamBench) {
    this.local = local;
    this.#bench = bench;
  }

  static async start(grant: Grant, options: ThroughOptions = {}): Promise<SshThrough> {
    const local = await SshPortFixture.open();
    const through = new SshThrough(local, await SshStreamBench.start(options.server));
    let stream = 0;
    local.openTunnel = async () => {
      const [client, gateway] = duplexPair();
      gateway.on('error', () => undefined);
      stream += 1;
      const served = serveSshStream({
        client: gateway,
        clientLeft: new AbortController().signal,
        stream,
        target: through.#bench.target(),
        grant: () => grant,
        decide: decideSsh,
        approvals: {
          ask() {
            throw new Error('nothing should be asked');
          },
          bindingOf: () => '',
          viewOf: () => [],
        },
        resolver: systemResolver({
          hostsFile: '/dev/null',
          ...(options.nameServer === undefined ? {} : { servers: [options.nameServer] }),
        }),
        audit: new StreamAudit(
          stream,
          () => grant,
          auditSink({ event: (event) => through.#events.push(event) }),
        ),
        signal: new AbortController().signal,
        ...(options.limits === undefined ? {} : { limits: options.limits }),
      });
      through.#streams.push(served.finally(() => gateway.end()).catch(() => undefined));
      return client;
    };
    return through;
  }

  get server(): OpensshServer {
    return this.#bench.server;
  }

  /** Events of a type, after all connections have ended. */
  async events<T extends RecordingEvent['type']>(type: T): Promise<readonly EventOf<T>[]> {
    await Promise.all(this.#streams);
    return this.#events.filter((event): event is EventOf<T> => event.type === type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.local[Symbol.asyncDispose]();
    await Promise.all(this.#streams);
    await this.#bench[Symbol.asyncDispose]();
  }
}
