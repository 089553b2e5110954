/**
 * Asks the gateway for a session and checks all that it says before anything else happens: the
 * policy's signature, the gateway's keys, the certificate of the session.
 */
import { randomBytes } from 'node:crypto';
import { checkReason } from '../api/free-text.ts';
import { API_VERSION } from '../api/http.ts';
import type { SessionReply } from '../api/sessions.ts';
import { checkAndPin, type GatewayPin } from '../auth/trust.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { HoopError } from '../errors.ts';
import type { Home } from '../home.ts';
import type { ClientPolicy } from '../policy/repo/client-policy.ts';
import { sha256 } from '../recording/formats/manifest.ts';
import { openCertificate } from '../recording/keys/certificate.ts';
import { generateSigningKey, type SigningKey } from '../recording/keys/ed25519.ts';
import { type Keyring, openKeyring } from '../recording/keys/keyring.ts';
import { signProof } from '../recording/keys/proof-of-possession.ts';
import { verifyGatewayPolicy, verifyLastPolicy } from './verify-gateway-policy.ts';

export interface RequestSessionOptions {
  readonly client: Pick<GatewayClient, 'info' | 'policy' | 'policyBundle' | 'startSession'>;
  readonly home: Home;
  /** Base URL. */
  readonly gateway: string;
  readonly pin: GatewayPin;
  readonly target: string;
  readonly reason: string | undefined;
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

export interface RequestedSession {
  readonly reply: SessionReply;
  readonly sessionKey: SigningKey;
  /** The note as the gateway gave it, verified. */
  readonly keyring: string;
  /** Who signed the policy that is in force, and where we have it from. */
  readonly policy: ClientPolicy;
}

/** How often to begin again when a new policy commit comes into force in between. */
const ATTEMPTS = 3;

export async function requestSession(o: RequestSessionOptions): Promise<RequestedSession> {
  checkReason(o.reason);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await requestUnderPolicyInForce(o);
    } catch (error) {
      const isOvertaken = error instanceof HoopError && error.code === 'HOOP_POLICY_MISMATCH';
      if (!isOvertaken || attempt === ATTEMPTS) {
        throw error;
      }
    }
  }
}

async function requestUnderPolicyInForce(o: RequestSessionOptions): Promise<RequestedSession> {
  // git takes as long as the gateway: what it will name is likely known, and verified meanwhile.
  const [info, inForce, last] = await Promise.all([
    o.client.info(o.signal),
    o.client.policy(o.signal),
    verifyLastPolicy(o),
  ]);
  // The keys that the gateway names must come from the root that was pinned at login; a newer
  // keyring is remembered, so that an older one is refused from now on.
  const { pin } = await checkAndPin(o.home, o.gateway, info, {
    nowMs: Date.now(),
    signal: o.signal,
  });
  const keyring = openKeyring(info.keyring, Buffer.from(pin.rootKey, 'base64'));
  const verify = (commit: string) => verifyGatewayPolicy({ ...o, reply: { commit } });
  let policy = last?.commit === inForce.commit ? last : await verify(inForce.commit);
  const sessionKey = generateSigningKey();
  const clientNonce = randomBytes(16);
  const serverNonce = inForce.sessionNonce;
  const hello = {
    v: API_VERSION,
    target: o.target,
    ...(o.reason === undefined ? {} : { reason: o.reason }),
    clientKey: Buffer.from(sessionKey.publicKey).toString('base64'),
    clientNonce: clientNonce.toString('base64'),
    serverNonce,
    policyCommit: policy.commit,
    cli: { version: o.version },
  } as const;
  const proof = signProof(sessionKey, { hello, serverNonce, exporter: new Uint8Array(0) });
  const reply = await o.client.startSession({ ...hello, proof }, o.signal);
  if (reply.policy.commit !== policy.commit) {
    // A commit came in between; it must be as good as the first.
    policy = await verify(reply.policy.commit);
  }
  checkCertificate({ reply, keyring, sessionKey, clientNonce, target: o.target });
  return { reply, sessionKey, keyring: info.keyring, policy };
}

interface CertificateFacts {
  readonly reply: SessionReply;
  readonly keyring: Keyring;
  readonly sessionKey: SigningKey;
  readonly clientNonce: Uint8Array;
  readonly target: string;
}

/** A certificate for another key, target or policy would make the recording worthless. */
function checkCertificate({
  reply,
  keyring,
  sessionKey,
  clientNonce,
  target,
}: CertificateFacts): void {
  const certificate = openCertificate(reply.certificate, keyring);
  const saltKey = Buffer.from(reply.saltKey, 'base64');
  const faults = [
    [certificate.session === reply.session, 'another session'],
    [Buffer.compare(certificate.clientKey, sessionKey.publicKey) === 0, 'another key'],
    [Buffer.compare(certificate.clientNonce, clientNonce) === 0, 'another request'],
    [Buffer.compare(certificate.saltKeySha256, sha256(saltKey)) === 0, 'another salt key'],
    [certificate.target === target, 'another target'],
    [certificate.policy.commit === reply.policy.commit, 'another policy commit'],
  ] as const;
  const fault = faults.find(([isRight]) => !isRight);
  if (fault) {
    throw new HoopError('HOOP_VERIFY_FAILED', `the session certificate is for ${fault[1]}`, {
      detail: 'The gateway and whatever is in front of it disagree; nothing was sent.',
    });
  }
}
