/**
 * A session without its network and its clock: the real streams, carriers and recordings of both
 * ends over a wire on which a schedule decides what arrives when, what breaks, and who goes when.
 * After each schedule everything is delivered. Then what the gateway still waits for must be nothing:
 * no cut would come for it any more, and its session would end 30 s later, its client alive.
 */
import { Duplex } from 'node:stream';
import { mock } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { StreamConnection } from '../../src/carrier/stream-connection.ts';
import { TunnelStream } from '../../src/gateway/sessions/tunnel-stream.ts';
import type { StreamOffsets } from '../../src/recording/formats/types.ts';
import type { RecordingSystem } from '../../src/recording/write/segment-writer.ts';
import type { ClientStream } from '../../src/tunnel/client-stream.ts';
import { ClientStreams } from '../../src/tunnel/client-streams.ts';
import { RecordingBench, SessionPair, seededRandom } from '../recording/session-pair.ts';

const STEPS = 120;
const MOST_OPEN = 4;
/** Of fake time in a schedule: less than anybody's patience. */
const STEP_MS = 100;

/** One end of the wire; what is written waits for the schedule. */
class WireEnd extends Duplex {
  readonly sent: Buffer[] = [];
  override _read(): void {
    // Whoever carries calls `receive`.
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.sent.push(Buffer.from(chunk));
    done();
  }
}

interface Connected {
  readonly client: StreamConnection;
  readonly gateway: StreamConnection;
  readonly clientEnd: WireEnd;
  readonly gatewayEnd: WireEnd;
}

export class ScheduledSession {
  readonly #random: () => number;
  readonly #pair: SessionPair;
  readonly #streams: ClientStreams;
  readonly #covered = new Map<number, StreamOffsets>();
  readonly #numbers = new Set<number>();
  /** Messages of the control channel, in order each way. */
  readonly #toClient: (() => void)[] = [];
  readonly #toGateway: (() => void)[] = [];
  readonly #clients = new Set<ClientStream>();
  readonly #engines = new Set<TunnelStream>();
  #wire: Connected;
  #opening = 0;
  #answering: Promise<void> = Promise.resolve();

  static async open(bench: RecordingBench, seed: number): Promise<ScheduledSession> {
    const start = Date.now();
    let passed = 0;
    const system: RecordingSystem = {
      nowMs: () => start + passed,
      monotonicUs: () => passed * 1000,
      syncData: async () => undefined,
    };
    const tick = (ms: number): void => {
      passed += ms;
      mock.timers.tick(ms);
    };
    const pair = await SessionPair.open(bench, { gatewaySystem: system, clientSystem: system });
    return new ScheduledSession(pair, seededRandom(seed), tick);
  }

  readonly #tick: (ms: number) => void;

  private constructor(pair: SessionPair, random: () => number, tick: (ms: number) => void) {
    this.#pair = pair;
    this.#random = random;
    this.#tick = tick;
    // What the pair would pass on at once has to wait as everything else does.
    pair.connected = false;
    pair.gateway.onRecorded((streams) => {
      this.#toClient.push(() => pair.client.recorded(streams));
    });
    pair.onCut((cut) => {
      this.#toGateway.push(() => {
        this.#answering = pair.gateway.acceptCut(cut).then((outcome) => {
          if (outcome.type === 'ack') {
            for (const offsets of cut.streams) {
              this.#covered.set(offsets.stream, offsets);
            }
            this.#toClient.push(() => pair.client.acknowledge(outcome.ack));
          }
        });
      });
    });
    this.#wire = this.#connect();
    this.#streams = new ClientStreams({
      recording: pair.client,
      openCarrier: (stream, kind, signal) => this.#wire.client.open(stream, kind, signal),
      tell: (message) => {
        if (message.type === 'streamEnd' && this.#numbers.has(message.stream)) {
          this.#toGateway.push(() => pair.gateway.clientEnded(message.stream, message.down));
        }
      },
      reason: () => undefined,
    });
  }

  /** Does what comes to its mind, then delivers all. @throws Error the session would be ended, or was */
  async play(): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) {
      this.#step();
      if (this.#random() < 0.7) {
        await turn();
      }
    }
    await this.#settle();
  }

  async close(): Promise<void> {
    this.#wire.clientEnd.destroy();
    this.#wire.gatewayEnd.destroy();
    await turn();
    await turn();
    await this.#pair.gateway.close({ reason: 'closed' });
    await this.#pair.client.close();
  }

  #step(): void {
    const client = this.#one(this.#clients);
    const engine = this.#one(this.#engines);
    const dice = this.#random();
    if (dice < 0.1) {
      this.#openOne();
    } else if (dice < 0.25) {
      this.#write(client);
    } else if (dice < 0.45) {
      this.#write(engine);
    } else if (dice < 0.48) {
      client?.destroy();
    } else if (dice < 0.51) {
      client?.end();
    } else if (dice < 0.53) {
      engine?.end();
    } else if (dice < 0.55) {
      client?.pause();
    } else if (dice < 0.58) {
      client?.resume();
    } else if (dice < 0.75) {
      this.#carry(1 + Math.floor(this.#random() * 3));
    } else if (dice < 0.9) {
      this.#one([this.#toClient, this.#toGateway])?.shift()?.();
    } else if (dice < 0.985) {
      this.#tick(STEP_MS);
    } else {
      this.#break();
    }
  }

  #openOne(): void {
    if (this.#clients.size + this.#opening >= MOST_OPEN) {
      return;
    }
    this.#opening += 1;
    this.#streams
      .open('postgres', new AbortController().signal)
      .then(
        (stream) => {
          this.#clients.add(stream);
          stream.on('error', () => undefined).on('close', () => this.#clients.delete(stream));
          stream.resume();
        },
        () => undefined,
      )
      .finally(() => {
        this.#opening -= 1;
      });
  }

  #write(to: Duplex | undefined): void {
    if (to?.writable) {
      const isLarge = this.#random() < 0.2;
      to.write(Buffer.alloc(1 + Math.floor(this.#random() * (isLarge ? 100_000 : 300)), 7));
    }
  }

  /** As session-streams.ts does it, with an engine that reads and writes as it likes. */
  #serve(stream: number, carrier: StreamCarrier): void {
    const { gateway } = this.#pair;
    gateway.openStream(stream, 'postgres');
    this.#numbers.add(stream);
    const engine = new TunnelStream({
      carrier,
      stream,
      recording: gateway,
      onActivity: () => undefined,
      onRecordingFault: () => undefined,
    });
    this.#engines.add(engine);
    engine.on('error', () => undefined).resume();
    engine.on('end', () => engine.end()).on('close', () => this.#engines.delete(engine));
    engine.left.addEventListener('abort', () => engine.destroy());
    carrier.once('close', () => {
      engine.destroy();
      const totals = gateway.closeStream(stream, 'closed');
      this.#toClient.push(() => this.#pair.client.peerEnded(stream, totals));
    });
  }

  #connect(): Connected {
    const clientEnd = new WireEnd();
    const gatewayEnd = new WireEnd();
    const client = new StreamConnection({ socket: clientEnd, endWithinMs: 10_000 });
    const gateway = new StreamConnection({
      socket: gatewayEnd,
      endWithinMs: 10_000,
      onOpen: (request) => this.#serve(request.stream, request.accept()),
    });
    return { client, gateway, clientEnd, gatewayEnd };
  }

  /** So many pieces, in one turn. */
  #carry(pieces: number): void {
    const { client, gateway, clientEnd, gatewayEnd } = this.#wire;
    for (let at = 0; at < pieces; at += 1) {
      const isUp = this.#random() < 0.5;
      const bytes = (isUp ? clientEnd : gatewayEnd).sent.shift();
      if (bytes !== undefined) {
        (isUp ? gateway : client).receive(bytes);
      }
    }
  }

  /** What is on its way is lost, and the CLI connects again. */
  #break(): void {
    this.#wire.clientEnd.destroy();
    this.#wire.gatewayEnd.destroy();
    this.#wire = this.#connect();
  }

  async #settle(): Promise<void> {
    for (const client of this.#clients) {
      client.resume();
    }
    const isQuiet = (): boolean =>
      [
        this.#toClient,
        this.#toGateway,
        this.#wire.clientEnd.sent,
        this.#wire.gatewayEnd.sent,
      ].every(({ length }) => length === 0);
    // Past the 5 s after which a cut is due, and 100 ms of a sync before and after.
    let ticks = 80;
    for (
      let quiet = 0;
      quiet < 5;
      quiet = isQuiet() && ticks === 0 && this.#pair.client.isCaughtUp ? quiet + 1 : 0
    ) {
      this.#throwIfStopped();
      while (!isQuiet()) {
        this.#carry(1);
        this.#toClient.shift()?.();
        this.#toGateway.shift()?.();
      }
      await turn();
      await this.#answering;
      await this.#pair.gateway.writer.sync();
      if (ticks > 0) {
        ticks -= 1;
        this.#tick(STEP_MS);
      }
    }
    this.#throwIfStopped();
    for (const stream of this.#numbers) {
      const { up, down } = this.#pair.gateway.confirmable(stream);
      const covered = this.#covered.get(stream) ?? { up: 0, down: 0 };
      if (up > covered.up || down > covered.down) {
        throw new Error(
          `stream ${stream}: ${up} up and ${down} down are recorded, and no cut will cover more than ${covered.up} and ${covered.down}`,
        );
      }
    }
  }

  #throwIfStopped(): void {
    this.#pair.gateway.stopped.throwIfAborted();
    this.#pair.client.stopped.throwIfAborted();
  }

  #one<T>(of: Iterable<T>): T | undefined {
    const all = [...of];
    return all[Math.floor(this.#random() * all.length)];
  }
}

/** @throws Error which seed showed what */
export async function playSchedules(seeds: Iterable<number>, rounds: number): Promise<number> {
  await using bench = await RecordingBench.create();
  let played = 0;
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  try {
    for (const seed of seeds) {
      const session = await ScheduledSession.open(bench, seed);
      try {
        for (let round = 0; round < rounds; round += 1) {
          await session.play();
          played += 1;
        }
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`seed ${seed}, round ${played % rounds}: ${message}`, { cause });
      } finally {
        await session.close();
      }
    }
  } finally {
    mock.timers.reset();
  }
  return played;
}
