/**
 * A recording made by the real encoders of both sides, without a network: what a gateway and a
 * client would have written for given bytes and events.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientRecording } from '../../src/recording/client/client-recording.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { EndedRecording } from '../../src/recording/ended/ended-recording.ts';
import type { CutProposal } from '../../src/recording/formats/types.ts';
import { issueCertificate } from '../../src/recording/keys/certificate.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { openGatewayKeys } from '../../src/recording/keys/gateway-keys.ts';
import type { EvidenceLine } from '../../src/recording/verify/evidence-lines.ts';
import { GatewayRecording, newRecordingKeys } from '../../src/recording/write/gateway-recording.ts';
import { openRecordingStore } from '../../src/recording/write/recording-store.ts';
import type { RecordedItem } from '../../src/replay/build-timeline.ts';
import { newSessionId } from '../../src/session-id.ts';
import type { StreamKind } from '../../src/stream-kinds.ts';

const GATEWAY = 'test-gateway';
const POLICY_COMMIT = '0123456789abcdef0123456789abcdef01234567';

export interface MadeRecording extends AsyncDisposable {
  readonly session: string;
  readonly directory: string;
  /** The bundle, a tar file. */
  readonly bundle: string;
  /** trust.json of someone who has logged in to this gateway. */
  readonly trust: string;
}

export async function makeRecording(
  items: readonly RecordedItem[],
  { twoSided = true } = {},
): Promise<MadeRecording> {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-made-'));
  const dataDir = join(directory, 'gateway');
  const nowMs = Date.now();
  const gatewayKeys = openGatewayKeys({
    directory: join(dataDir, 'keys'),
    gateway: GATEWAY,
    nowMs,
  });
  const { gatewayKey, keyring, root } = gatewayKeys;
  const session = newSessionId(nowMs, randomBytes(16));
  const sessionKey = generateSigningKey();
  const keys = newRecordingKeys();
  const certificate = issueCertificate(
    {
      session,
      gateway: GATEWAY,
      clientKey: sessionKey.publicKey,
      gatewayKey: gatewayKey.publicKey,
      saltKeySha256: createHash('sha256').update(keys.saltKey).digest(),
      issuer: 'https://idp.example',
      subject: '42',
      name: 'eve@example.com',
      audience: 'hoop-cli',
      authTime: Math.floor(nowMs / 1000),
      claimsSha256: '00'.repeat(32),
      jkt: 'thumbprint',
      target: 'prod-db',
      policy: { commit: POLICY_COMMIT, sha256: undefined },
      cli: { version: '0.1.0', sha256: undefined },
      notBeforeMs: nowMs - 1000,
      notAfterMs: nowMs + 3_600_000,
      clientNonce: randomBytes(16),
    },
    gatewayKeys.sessionCa,
  );
  await using store = await openRecordingStore(dataDir);
  const gateway = await GatewayRecording.create({
    store,
    session,
    keys,
    clientKey: sessionKey.publicKey,
    gatewayKey,
    certificate,
  });
  const spools = join(directory, 'client', 'sessions');
  const client = await ClientRecording.create({
    directory: spools,
    session,
    gatewayUrl: 'https://gateway.example',
    certificate,
    keyring,
    rootKey: root,
    saltKey: keys.saltKey,
    sessionKey,
    proposeCut: (cut) => void acknowledge(cut),
  });
  const acknowledge = async (cut: CutProposal): Promise<void> => {
    const outcome = await gateway.acceptCut(cut);
    if (outcome.type === 'ack') {
      client.acknowledge(outcome.ack);
    }
  };
  gateway.onRecorded((streams) => client.recorded(streams));
  gateway.writer.event({
    type: 'session.open',
    session,
    principal: { issuer: 'https://idp.example', sub: '42', name: 'eve@example.com' },
    target: 'prod-db',
    reason: 'TICKET-1',
    policyCommit: POLICY_COMMIT,
  });
  const evidence = (line: EvidenceLine) => client.data(0, 1, [gateway.evidence(line)]);
  evidence({ type: 'reason', text: 'TICKET-1' });
  const open = new Set<number>();
  const kinds = new Map<number, StreamKind>();
  for (const item of items) {
    if (item.type === 'data') {
      const { stream, direction, bytes } = item.piece;
      if (!open.has(stream)) {
        open.add(stream);
        const kind = kinds.get(stream) ?? 'postgres';
        gateway.openStream(stream, kind);
        client.openStream(stream);
      }
      gateway.data(stream, direction, [bytes]);
      client.data(stream, direction, [bytes]);
    } else if (item.type === 'evidence') {
      evidence(item.line);
    } else if (item.event.type === 'stream.open') {
      kinds.set(item.event.stream, item.event.kind);
    } else if (item.event.type !== 'stream.close') {
      gateway.writer.event(item.event);
    }
  }
  for (const stream of open) {
    client.peerEnded(stream, gateway.closeStream(stream, 'closed by the client'));
    client.closeStream(stream);
  }
  evidence({ type: 'closing', reason: 'closed', message: 'the client closed the session' });
  if (twoSided) {
    await client.finish(new AbortController().signal);
  }
  await client.close();
  await gateway.close({ reason: twoSided ? 'closed' : 'client_lost' });
  const ended = await EndedRecording.open({ store, session, gatewayKey });
  if (twoSided) {
    await uploadSession({
      directory: spools,
      session,
      signal: new AbortController().signal,
      gateway: {
        position: async () => ended.position(),
        proposeCut: () => Promise.reject(new Error('all cuts were agreed on')),
        repair: () => Promise.reject(new Error('nothing was lost')),
        seal: () => ended.seal(),
        putManifest: (_session, envelope) => ended.countersign(envelope),
      },
    });
  } else {
    await ended.signAlone();
  }
  const bundle = join(directory, 'evidence.tar');
  const { parts } = await ended.bundle();
  await writeFile(bundle, parts);
  const trust = join(directory, 'trust.json');
  const pin = {
    gateway: GATEWAY,
    rootKey: Buffer.from(root).toString('base64'),
    keyringVersion: gatewayKeys.keyringVersion,
    allowedSigners: '',
    policyBranch: 'main',
    pinnedAt: new Date(nowMs).toISOString(),
  };
  await writeFile(trust, JSON.stringify({ v: 1, gateways: { 'https://gateway.example': pin } }));
  return {
    session,
    directory,
    bundle,
    trust,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
