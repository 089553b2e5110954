/**
 * The session certificate: the gateway says whose session it is and which key speaks for the
 * client in it. DSSE over canonical JSON, signed by the session CA of the keyring.
 */
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import { isSessionId } from '../../session-id.ts';
import { canonicalJson, parseCanonicalJson } from '../formats/canonical-json.ts';
import { decodeEnvelope, encodeEnvelope, isSignedBy, signEnvelope } from '../formats/dsse.ts';
import { fromBase64, fromHex, toBase64, toHex, utf8 } from '../formats/encoding.ts';
import { parseShape } from '../formats/parse-shape.ts';
import { publicKeyFromBase64, type SigningKey } from './ed25519.ts';
import type { Keyring } from './keyring.ts';

const CERTIFICATE_TYPE = 'application/vnd.hoop.session-cert.v1+json';

export interface SessionCertificate {
  readonly session: string;
  readonly gateway: string;
  /** 32 raw bytes each. */
  readonly clientKey: Uint8Array;
  /** The key that will countersign this session; listed in the keyring too. */
  readonly gatewayKey: Uint8Array;
  /** SHA-256 of the salt key K, so that neither side can swap it later. */
  readonly saltKeySha256: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
  /** For people to read. Untrusted text. */
  readonly name: string;
  readonly audience: string;
  /** Seconds. */
  readonly authTime: number;
  /** Hex. */
  readonly claimsSha256: string;
  readonly jkt: string;
  /**
   * Who acts for the subject, as in RFC 8693 §4.1: the agent's name, and the run that it acts in.
   * Absent: nobody but the subject.
   */
  readonly act?: ActingParty | undefined;
  /** For whom a workload works, as the issuer says; the gateway has checked that it says so. */
  readonly requester?: string | undefined;
  readonly target: string;
  readonly policy: { readonly commit: string; readonly sha256: string | undefined };
  readonly cli: { readonly version: string; readonly sha256: string | undefined };
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly clientNonce: Uint8Array;
}

export interface ActingParty {
  readonly agent: string | undefined;
  /** The login is the agent's own. */
  readonly isAgent: boolean;
  readonly run: string | undefined;
}

const Shape = z.strictObject({
  v: z.literal(1),
  session_id: z.string().refine(isSessionId),
  gateway: z.string(),
  client_key: z.string(),
  gateway_key: z.string(),
  commit_key_sha256: z.string(),
  iss: z.string(),
  sub: z.string(),
  name: z.string(),
  aud: z.string(),
  auth_time: z.number().int().nonnegative(),
  claims_sha256: z.string(),
  jkt: z.string(),
  act: z
    .strictObject({
      agent: z.string().optional(),
      is_agent: z.literal(true).optional(),
      run: z.string().optional(),
    })
    .optional(),
  requester: z.string().optional(),
  target: z.string(),
  policy: z.strictObject({ commit: z.string(), sha256: z.string().optional() }),
  cli: z.strictObject({ version: z.string(), sha256: z.string().optional() }),
  nbf_ms: z.number().int().nonnegative(),
  exp_ms: z.number().int().nonnegative(),
  client_nonce: z.string(),
});

/** @returns the DSSE envelope as JSON text */
export function issueCertificate(certificate: SessionCertificate, ca: SigningKey): string {
  const payload = utf8(canonicalJson(toJson(certificate)));
  return encodeEnvelope(signEnvelope(CERTIFICATE_TYPE, payload, ca));
}

/**
 * For whoever receives a certificate from the gateway.
 * @throws HoopError HOOP_VERIFY_FAILED when no session CA of the keyring signed it
 */
export function openCertificate(text: string, keyring: Keyring): SessionCertificate {
  const certificate = readCertificateUnverified(text);
  if (!isIssuedBy(text, certificate, keyring)) {
    throw new HoopError('HOOP_VERIFY_FAILED', 'session certificate was not issued by this gateway');
  }
  return certificate;
}

/** Whether a session CA that was valid when the session began signed exactly this. */
export function isIssuedBy(
  text: string,
  certificate: SessionCertificate,
  keyring: Keyring,
): boolean {
  const envelope = decodeEnvelope(utf8(text), CERTIFICATE_NAME);
  const time = certificate.notBeforeMs;
  return (
    envelope.signatures.length === 1 &&
    certificate.gateway === keyring.gateway &&
    keyring.keys.some(
      (key) =>
        key.use === 'session-ca' &&
        key.notBeforeMs <= time &&
        time <= key.notAfterMs &&
        isSignedBy(envelope, key.publicKey),
    )
  );
}

const CERTIFICATE_NAME = 'the session certificate';

/** Reads what it says without believing it. @throws FormatError */
export function readCertificateUnverified(text: string): SessionCertificate {
  const envelope = decodeEnvelope(utf8(text), CERTIFICATE_NAME);
  if (envelope.payloadType !== CERTIFICATE_TYPE) {
    throw new FormatError('the session certificate has another payload type');
  }
  const json = parseCanonicalJson(envelope.payload, CERTIFICATE_NAME);
  return fromJson(parseShape(Shape, json, CERTIFICATE_NAME));
}

function toJson(certificate: SessionCertificate): z.infer<typeof Shape> {
  const { policy, cli, act } = certificate;
  return {
    v: 1,
    session_id: certificate.session,
    gateway: certificate.gateway,
    client_key: toBase64(certificate.clientKey),
    gateway_key: toBase64(certificate.gatewayKey),
    commit_key_sha256: toHex(certificate.saltKeySha256),
    iss: certificate.issuer,
    sub: certificate.subject,
    name: certificate.name,
    aud: certificate.audience,
    auth_time: certificate.authTime,
    claims_sha256: certificate.claimsSha256,
    jkt: certificate.jkt,
    ...(act === undefined ? {} : { act: actJson(act) }),
    ...(certificate.requester === undefined ? {} : { requester: certificate.requester }),
    target: certificate.target,
    policy: { commit: policy.commit, ...(policy.sha256 ? { sha256: policy.sha256 } : {}) },
    cli: { version: cli.version, ...(cli.sha256 ? { sha256: cli.sha256 } : {}) },
    nbf_ms: certificate.notBeforeMs,
    exp_ms: certificate.notAfterMs,
    client_nonce: toBase64(certificate.clientNonce),
  };
}

function actJson({ agent, isAgent, run }: ActingParty): NonNullable<z.infer<typeof Shape>['act']> {
  return {
    ...(agent === undefined ? {} : { agent }),
    ...(isAgent ? { is_agent: true } : {}),
    ...(run === undefined ? {} : { run }),
  };
}

function fromJson(json: z.infer<typeof Shape>): SessionCertificate {
  return {
    session: json.session_id,
    gateway: json.gateway,
    clientKey: publicKeyFromBase64(json.client_key, 'the client key'),
    gatewayKey: publicKeyFromBase64(json.gateway_key, 'the gateway key'),
    saltKeySha256: fromHex(json.commit_key_sha256, 'the hash of the salt key', 32),
    issuer: json.iss,
    subject: json.sub,
    name: json.name,
    audience: json.aud,
    authTime: json.auth_time,
    claimsSha256: json.claims_sha256,
    jkt: json.jkt,
    act: json.act && {
      agent: json.act.agent,
      isAgent: json.act.is_agent === true,
      run: json.act.run,
    },
    requester: json.requester,
    target: json.target,
    policy: { commit: json.policy.commit, sha256: json.policy.sha256 },
    cli: { version: json.cli.version, sha256: json.cli.sha256 },
    notBeforeMs: json.nbf_ms,
    notAfterMs: json.exp_ms,
    clientNonce: fromBase64(json.client_nonce, 'the client nonce'),
  };
}
