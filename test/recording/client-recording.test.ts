/** The client's live recording: whom it believes, and when it stops. */
import { randomBytes } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  ClientRecording,
  type ClientRecordingOptions,
} from '../../src/recording/client/client-recording.ts';
import { pendingUploads } from '../../src/recording/client/pending-uploads.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { sha256 } from '../../src/recording/formats/manifest.ts';
import { issueCertificate, type SessionCertificate } from '../../src/recording/keys/certificate.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { RecordingStopped } from '../../src/recording/write/recording-stopped.ts';
import { newSessionId } from '../../src/session-id.ts';
import { waitFor } from '../wait-for.ts';
import { RecordingBench, SessionPair } from './session-pair.ts';

function offered(
  bench: RecordingBench,
  changes: Partial<SessionCertificate> = {},
): ClientRecordingOptions {
  const session = newSessionId(Date.now(), randomBytes(16));
  const sessionKey = generateSigningKey();
  const saltKey = randomBytes(32);
  const certificate = issueCertificate(
    {
      session,
      gateway: bench.keys.gateway,
      clientKey: sessionKey.publicKey,
      gatewayKey: bench.keys.gatewayKey.publicKey,
      saltKeySha256: sha256(saltKey),
      issuer: 'https://idp.example',
      subject: 'user-1',
      name: 'ada',
      audience: 'hoop-cli',
      authTime: 0,
      claimsSha256: '',
      jkt: '',
      target: 'prod-db',
      policy: { commit: 'a', sha256: undefined },
      cli: { version: '0', sha256: undefined },
      notBeforeMs: Date.now() - 1000,
      notAfterMs: Date.now() + 1000,
      clientNonce: randomBytes(16),
      ...changes,
    },
    bench.keys.sessionCa,
  );
  return {
    directory: bench.spools,
    session,
    gatewayUrl: 'https://gateway.example',
    certificate,
    keyring: bench.keys.keyring,
    rootKey: bench.keys.root,
    saltKey,
    sessionKey,
    proposeCut: () => undefined,
  };
}

describe('what the gateway offers', () => {
  test('is taken when all of it fits, into files that only the user can read', async () => {
    await using bench = await RecordingBench.create();
    const options = offered(bench);
    await using recording = await ClientRecording.create(options);
    expect((await stat(recording.directory)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(recording.directory)) {
      expect((await stat(join(recording.directory, name))).mode & 0o777).toBe(0o600);
    }
  });

  const refused: Record<string, (bench: RecordingBench) => ClientRecordingOptions> = {
    'another client key': (bench) => offered(bench, { clientKey: generateSigningKey().publicKey }),
    'another salt key': (bench) => ({ ...offered(bench), saltKey: randomBytes(32) }),
    'another session': (bench) => ({
      ...offered(bench),
      session: newSessionId(Date.now(), randomBytes(16)),
    }),
    'a gateway key that the keyring does not list': (bench) =>
      offered(bench, { gatewayKey: generateSigningKey().publicKey }),
    'a session CA used as gateway key': (bench) =>
      offered(bench, { gatewayKey: bench.keys.sessionCa.publicKey }),
    'another root': (bench) => ({ ...offered(bench), rootKey: generateSigningKey().publicKey }),
    'the name of another gateway': (bench) => offered(bench, { gateway: 'gw-2' }),
    'a certificate from before the CA was valid': (bench) => offered(bench, { notBeforeMs: 0 }),
  };
  for (const [what, make] of Object.entries(refused)) {
    test(`is refused with ${what}, and leaves no spool`, async () => {
      await using bench = await RecordingBench.create();
      await expect(ClientRecording.create(make(bench))).rejects.toMatchObject({
        code: expect.stringMatching(/^HOOP_(EVIDENCE_MISMATCH|VERIFY_FAILED|VERIFY_UNTRUSTED)$/),
      });
      await expect(readdir(bench.spools)).rejects.toMatchObject({ code: 'ENOENT' });
    });
  }
});

describe('a cut', () => {
  test('is not proposed for every small step of a gateway that is far behind', async () => {
    await using bench = await RecordingBench.create();
    const cuts: unknown[] = [];
    await using recording = await ClientRecording.create({
      ...offered(bench),
      proposeCut: (cut) => cuts.push(cut),
    });
    recording.openStream(1);
    for (let mebibyte = 0; mebibyte < 8; mebibyte += 1) {
      recording.data(1, 0, [new Uint8Array(1 << 20)]);
    }
    for (let step = 1; step <= 100; step += 1) {
      recording.recorded([{ stream: 1, up: step * 10_000 }]);
    }
    recording.recorded([{ stream: 1, up: 5 << 20 }]);
    await waitFor(() => expect(cuts).not.toEqual([]));
    expect(cuts).toMatchObject([{ streams: [{ stream: 1, up: 5 << 20, down: 0 }] }]);
  });

  test('with a wrong answer stops the client', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    const outcome = await pair.gateway.acceptCut(await pair.nextCut());
    if (outcome.type !== 'ack') {
      throw new Error('the cut was not accepted');
    }
    pair.client.acknowledge({ ...outcome.ack, timeMs: outcome.ack.timeMs + 1 });
    expect(pair.client.stopped.reason).toBeInstanceOf(RecordingStopped);
    expect(pair.client.stopped.reason).toMatchObject({ endReason: 'disputed' });
    expect(() => pair.client.data(1, 0, [randomBytes(1)])).toThrow(RecordingStopped);
    await pair.client.close();
    await pair.gateway.close({ reason: 'client_lost' });
  });

  test('that is never answered does not let the gateway fill the memory of the client', async () => {
    await using bench = await RecordingBench.create();
    await using recording = await ClientRecording.create(offered(bench));
    recording.openStream(1);
    const piece = new Uint8Array(1 << 20);
    const send = (mebibytes: number) => {
      for (let sent = 0; sent < mebibytes; sent += 1) {
        recording.data(1, 1, [piece]);
      }
    };
    send(128);
    expect(() => send(1)).toThrow('the gateway sends more than it lets anybody confirm');
    expect(recording.stopped.reason).toMatchObject({ endReason: 'disputed' });
  });

  test('without an answer for 30 s stops the client', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      await pair.nextCut();
      vi.advanceTimersByTime(31_000);
    } finally {
      vi.useRealTimers();
    }
    expect(pair.client.stopped.reason).toMatchObject({
      endReason: 'client_lost',
      code: 'HOOP_SESSION_ENDED',
      message:
        'hoop on this machine ended the session: the gateway has not confirmed its recording for 30 s',
    });
    await pair.client.close();
    await pair.gateway.close({ reason: 'client_lost' });
  });

  test('covers up bytes only as far as the gateway says that it has them', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.connected = false;
    pair.openStream(1);
    pair.client.data(1, 0, [randomBytes(500)]);
    pair.gateway.data(1, 0, [randomBytes(0)]);
    pair.client.data(1, 1, [randomBytes(50)]);
    pair.client.recorded([{ stream: 1, up: 120 }]);
    // The gateway has ended the stream and never saw the rest.
    pair.client.peerEnded(1, { up: 200, down: 50 });
    const abort = new AbortController();
    const finished = pair.client.finish(abort.signal);
    await waitFor(() => expect(pair.cuts).toHaveLength(1));
    expect(pair.cuts[0]?.streams).toEqual([{ stream: 1, up: 200, down: 50 }]);
    abort.abort();
    await finished;
    await pair.client.close();
    await pair.gateway.close({ reason: 'closed' });
  });
});

describe('upload', () => {
  test('of a session whose gateway lost a signed cut is refused, and the spool stays', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    await pair.end();
    const transport = await pair.transport();
    const signal = new AbortController().signal;
    const { directory, session } = { directory: bench.spools, session: pair.session };
    for (const [changes, message] of [
      [{ agreed: 0 }, /it has lost or invented signatures/],
      [{ agreed: 7 }, /it has lost or invented signatures/],
      [{ agreed: 2 }, /a cut that was never proposed/],
    ] as const) {
      const gateway = {
        ...transport,
        position: () => Promise.resolve({ ...transport.ended.position(), ...changes }),
      };
      await expect(uploadSession({ directory, session, gateway, signal })).rejects.toThrow(message);
    }
    expect(await pendingUploads(directory)).toHaveLength(1);
    await uploadSession({ directory, session, gateway: transport, signal });
    expect(await pendingUploads(directory)).toHaveLength(0);
  });

  test('does not take a manifest that the gateway did not sign', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    await pair.end();
    const transport = await pair.transport();
    const gateway = {
      ...transport,
      putManifest: (_session: string, envelope: string) => Promise.resolve(envelope),
    };
    const signal = new AbortController().signal;
    const options = { directory: bench.spools, session: pair.session, gateway, signal };
    await expect(uploadSession(options)).rejects.toThrow(
      'the gateway did not countersign the manifest that it received',
    );
    expect(await pendingUploads(bench.spools)).toHaveLength(1);
  });

  test('of a session that another process is recording is left alone', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    // Process 1 always runs.
    await writeFile(join(pair.client.directory, 'owner'), '1');
    expect(await pendingUploads(bench.spools)).toEqual([]);
    const never = () => Promise.reject(new Error('must not be called'));
    const transport = {
      position: never,
      proposeCut: never,
      repair: never,
      seal: never,
      putManifest: never,
    };
    await expect(
      uploadSession({
        directory: bench.spools,
        session: pair.session,
        gateway: transport,
        signal: new AbortController().signal,
      }),
    ).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE' });
    await pair.end();
  });
});

describe('countersigning', () => {
  test('refuses a manifest by another key, and one that says something else', async () => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    pair.openStream(1);
    pair.down(1, randomBytes(100));
    await pair.end();
    const other = await SessionPair.open(bench);
    await other.end();
    const transport = await pair.transport();
    const otherTransport = await other.transport();
    const signal = new AbortController().signal;
    let envelope = '';
    const capture = {
      ...otherTransport,
      putManifest: async (session: string, text: string) => {
        envelope = text;
        return await otherTransport.putManifest(session, text, signal);
      },
    };
    await uploadSession({
      directory: bench.spools,
      session: other.session,
      gateway: capture,
      signal,
    });
    await expect(transport.ended.countersign(envelope)).rejects.toMatchObject({
      code: 'HOOP_EVIDENCE_MISMATCH',
    });
    await expect(transport.ended.countersign('{}')).rejects.toMatchObject({
      code: 'HOOP_RECORDING_DAMAGED',
    });
  });
});
