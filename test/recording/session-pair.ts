/** A gateway's and a client's recording of one session, joined in memory instead of by a tunnel. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientRecording } from '../../src/recording/client/client-recording.ts';
import type { UploadTransport } from '../../src/recording/client/upload-session.ts';
import { EndedRecording } from '../../src/recording/ended/ended-recording.ts';
import { sha256 } from '../../src/recording/formats/manifest.ts';
import type { CutProposal, EndReason } from '../../src/recording/formats/types.ts';
import { issueCertificate, type SessionCertificate } from '../../src/recording/keys/certificate.ts';
import { generateSigningKey, type SigningKey } from '../../src/recording/keys/ed25519.ts';
import { type GatewayKeys, openGatewayKeys } from '../../src/recording/keys/gateway-keys.ts';
import type { VerifyTrust } from '../../src/recording/verify/verify.ts';
import {
  GatewayRecording,
  newRecordingKeys,
  type RecordingLease,
} from '../../src/recording/write/gateway-recording.ts';
import {
  openRecordingStore,
  type RecordingStore,
} from '../../src/recording/write/recording-store.ts';
import type { RecordingSystem } from '../../src/recording/write/segment-writer.ts';
import { newSessionId } from '../../src/session-id.ts';

export class RecordingBench implements AsyncDisposable {
  readonly directory: string;
  readonly spools: string;
  readonly keys: GatewayKeys;
  readonly store: RecordingStore;

  private constructor(directory: string, keys: GatewayKeys, store: RecordingStore) {
    this.directory = directory;
    this.spools = join(directory, 'client', 'sessions');
    this.keys = keys;
    this.store = store;
  }

  static async create(): Promise<RecordingBench> {
    return RecordingBench.openIn(await mkdtemp(join(tmpdir(), 'hoop-recording-')));
  }

  static async openIn(directory: string): Promise<RecordingBench> {
    const dataDir = join(directory, 'gateway');
    const keys = openGatewayKeys({
      directory: join(dataDir, 'keys'),
      gateway: 'test-gateway',
      nowMs: Date.now(),
    });
    return new RecordingBench(directory, keys, await openRecordingStore(dataDir));
  }

  get trust(): VerifyTrust {
    const { root, gateway, keyringVersion } = this.keys;
    return { roots: [{ gateway, rootKey: root, keyringVersion }], nowMs: Date.now() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }

  ended(session: string): Promise<EndedRecording> {
    return EndedRecording.open({ store: this.store, session, gatewayKey: this.keys.gatewayKey });
  }
}

export interface PairOptions {
  readonly lease?: RecordingLease;
  readonly gatewaySystem?: RecordingSystem;
  readonly clientSystem?: RecordingSystem;
  readonly certificate?: Partial<SessionCertificate>;
}

export class SessionPair {
  readonly bench: RecordingBench;
  readonly session: string;
  readonly gateway: GatewayRecording;
  readonly client: ClientRecording;
  readonly sessionKey: SigningKey;
  readonly saltKey: Buffer;
  readonly cuts: CutProposal[] = [];
  #cutListener: ((cut: CutProposal) => void) | undefined;
  /** Set to false to lose what the two say to each other. */
  connected = true;

  private constructor(
    bench: RecordingBench,
    gateway: GatewayRecording,
    client: ClientRecording,
    sessionKey: SigningKey,
    saltKey: Uint8Array,
  ) {
    this.bench = bench;
    this.session = gateway.session;
    this.gateway = gateway;
    this.client = client;
    this.sessionKey = sessionKey;
    this.saltKey = Buffer.from(saltKey);
  }

  static async open(bench: RecordingBench, options: PairOptions = {}): Promise<SessionPair> {
    const nowMs = Date.now();
    const session = newSessionId(nowMs, randomBytes(16));
    const recordingKeys = newRecordingKeys();
    const sessionKey = generateSigningKey();
    const { keys, store } = bench;
    const certificate = issueCertificate(
      {
        session,
        gateway: keys.gateway,
        clientKey: sessionKey.publicKey,
        gatewayKey: keys.gatewayKey.publicKey,
        saltKeySha256: sha256(recordingKeys.saltKey),
        issuer: 'https://idp.example',
        subject: 'user-1',
        name: 'ada@example.com',
        audience: 'hoop-cli',
        authTime: Math.floor(nowMs / 1000),
        claimsSha256: '0'.repeat(64),
        jkt: 'thumbprint',
        target: 'prod-db',
        policy: { commit: 'a'.repeat(40), sha256: undefined },
        cli: { version: '0.1.0', sha256: undefined },
        notBeforeMs: nowMs - 60_000,
        notAfterMs: nowMs + 3_600_000,
        clientNonce: randomBytes(16),
        ...options.certificate,
      },
      keys.sessionCa,
    );
    const gateway = await GatewayRecording.create({
      store,
      session,
      keys: recordingKeys,
      clientKey: sessionKey.publicKey,
      gatewayKey: keys.gatewayKey,
      certificate,
      ...(options.gatewaySystem ? { system: options.gatewaySystem } : {}),
      ...(options.lease ? { lease: options.lease } : {}),
    });
    const cell: { pair?: SessionPair } = {};
    const client = await ClientRecording.create({
      directory: bench.spools,
      session,
      gatewayUrl: 'https://gateway.example',
      certificate,
      keyring: keys.keyring,
      rootKey: keys.root,
      saltKey: recordingKeys.saltKey,
      sessionKey,
      proposeCut: (cut) => cell.pair?.deliverCut(cut),
      ...(options.clientSystem ? { system: options.clientSystem } : {}),
    });
    const pair = new SessionPair(bench, gateway, client, sessionKey, recordingKeys.saltKey);
    cell.pair = pair;
    gateway.onRecorded((streams) => {
      if (pair.connected) {
        client.recorded(streams);
      }
    });
    return pair;
  }

  openStream(stream: number, kind: 'postgres' | 'cancel' = 'postgres'): void {
    this.client.openStream(stream);
    this.gateway.openStream(stream, kind);
  }

  up(stream: number, bytes: Uint8Array): void {
    this.client.data(stream, 0, [bytes]);
    this.client.turns.flush();
    this.gateway.data(stream, 0, [bytes]);
    this.gateway.turns.flush();
  }

  down(stream: number, bytes: Uint8Array): void {
    this.gateway.data(stream, 1, [bytes]);
    this.gateway.turns.flush();
    this.client.data(stream, 1, [bytes]);
    this.client.turns.flush();
  }

  /** An orderly end on both sides. */
  async end(reason: EndReason = 'closed'): Promise<void> {
    const closing = this.gateway.evidence({ type: 'closing', reason, message: 'bye' });
    this.client.data(0, 1, [closing]);
    await this.client.finish(new AbortController().signal);
    await this.gateway.close({ reason });
    await this.client.close();
  }

  /** As the HTTP API would, from the files. */
  async transport(): Promise<UploadTransport & { readonly ended: EndedRecording }> {
    const ended = await this.bench.ended(this.session);
    return transportTo(ended);
  }

  /** The cut that the client proposes next, made to come now; nobody answers it. */
  async nextCut(): Promise<CutProposal> {
    this.connected = false;
    const proposed = new Promise<CutProposal>((resolve) => {
      this.#cutListener = resolve;
    });
    // What the gateway has on disk reaches the client here, since the pair is disconnected.
    await this.gateway.writer.sync();
    this.client.recorded([{ stream: 1, up: this.gateway.writer.offsets(1).up }]);
    const abort = new AbortController();
    const finished = this.client.finish(abort.signal);
    const cut = await proposed;
    abort.abort();
    await finished;
    return cut;
  }

  onCut(listener: (cut: CutProposal) => void): void {
    this.#cutListener = listener;
  }

  deliverCut(cut: CutProposal): void {
    this.cuts.push(cut);
    this.#cutListener?.(cut);
    if (!this.connected) {
      return;
    }
    this.gateway.acceptCut(cut).then(
      (outcome) => {
        if (outcome.type === 'ack' && this.connected) {
          this.client.acknowledge(outcome.ack);
        }
      },
      () => undefined,
    );
  }
}

export function transportTo(
  ended: EndedRecording,
): UploadTransport & { readonly ended: EndedRecording } {
  return {
    ended,
    position: () => Promise.resolve(ended.position()),
    proposeCut: async (_session, cut) => {
      const outcome = await ended.acceptCut(cut);
      if (outcome.type === 'dispute') {
        throw new Error(outcome.message);
      }
      return outcome.ack;
    },
    repair: (_session, pieces) => ended.repair(pieces),
    seal: () => ended.seal(),
    putManifest: (_session, envelope) => ended.countersign(envelope),
  };
}

export async function readBundle(ended: EndedRecording): Promise<Buffer> {
  const { size, parts } = await ended.bundle();
  const bundle = Buffer.concat(await Array.fromAsync(parts));
  if (bundle.length !== size) {
    throw new Error(`the bundle has ${bundle.length} bytes, said ${size}`);
  }
  return bundle;
}

/** Repeatable pseudo-random numbers in [0, 1): mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
