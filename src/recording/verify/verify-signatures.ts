/** Checks 2 to 9: whose keys these are, and what they signed. */
import type { BundleContents } from '../bundle/bundle-contents.ts';
import { isSignedBy } from '../formats/dsse.ts';
import { sameBytes, toHex, utf8 } from '../formats/encoding.ts';
import { sha256 } from '../formats/manifest.ts';
import { isIssuedBy } from '../keys/certificate.ts';
import { keyId } from '../keys/ed25519.ts';
import { isListed, openKeyring } from '../keys/keyring.ts';
import type { VerifyReport } from './verify-report.ts';

export interface TrustedRoot {
  readonly gateway: string;
  /** 32 raw bytes. */
  readonly rootKey: Uint8Array;
  /** The highest version seen so far; lower ones are refused. */
  readonly keyringVersion: number;
}

export interface SignatureTrust {
  readonly roots: readonly TrustedRoot[];
  readonly nowMs: number;
}

export function verifySignatures(
  contents: BundleContents,
  trust: SignatureTrust,
  report: VerifyReport,
): void {
  const isKeyringTrusted = verifyKeyring(contents, trust, report);
  report.add('log checkpoint', 'not applicable', 'this version keeps no log');
  verifyCertificate(contents, isKeyringTrusted, report);
  verifyLogProofs(contents, report);
  verifyClientSignature(contents, report);
  verifyGatewaySignature(contents, isKeyringTrusted, report);
  verifyManifest(contents, report);
}

function verifyKeyring(
  { keyring, keyringText }: BundleContents,
  trust: SignatureTrust,
  report: VerifyReport,
): boolean {
  const roots = trust.roots.filter(({ gateway }) => gateway === keyring.gateway);
  if (roots.length === 0) {
    report.add('trust', 'untrusted', `no trusted key for gateway "${keyring.gateway}"`);
    report.add('keyring', 'incomplete', 'not checked: no trusted key to check it with');
    return false;
  }
  report.add('trust', 'ok', `a pinned root key for gateway "${keyring.gateway}"`);
  // One gateway may be pinned under several addresses: the newest keyring seen under any counts.
  const root = roots
    .filter(({ rootKey }) => isSignedByRoot(keyringText, rootKey))
    .sort((left, right) => right.keyringVersion - left.keyringVersion)[0];
  if (root === undefined) {
    report.add('keyring', 'failed', 'keyring is not signed by the pinned root key');
    return false;
  }
  const { version, expiresMs } = keyring;
  if (version < root.keyringVersion) {
    const text = `keyring version ${version} is older than pinned ${root.keyringVersion}`;
    report.add('keyring', 'untrusted', `${text}: download the recording again`);
    return false;
  }
  if (expiresMs < trust.nowMs) {
    const date = new Date(expiresMs).toISOString().slice(0, 10);
    const text = `keyring version ${version} expired on ${date}`;
    report.add('keyring', 'untrusted', `${text}: download the recording again`);
    return false;
  }
  report.add('keyring', 'ok', `keyring version ${version}, signed by root ${short(root.rootKey)}`);
  return true;
}

function isSignedByRoot(text: string, rootKey: Uint8Array): boolean {
  try {
    openKeyring(text, rootKey);
    return true;
  } catch {
    return false;
  }
}

function verifyCertificate(
  { certificate, certificateText, keyring }: BundleContents,
  isKeyringTrusted: boolean,
  report: VerifyReport,
): void {
  if (!isIssuedBy(certificateText, certificate, keyring)) {
    report.add('certificate', 'failed', 'session certificate was not issued by this gateway');
  } else if (!isKeyringTrusted) {
    report.add('certificate', 'incomplete', 'matches the keyring, which is not trusted');
  } else {
    const { name, issuer } = certificate;
    report.add('certificate', 'ok', `issued by the session CA to ${name} (${issuer})`);
  }
}

/** A later version may have logged the session; this one must not pass that over as if it had checked. */
function verifyLogProofs({ members, manifest }: BundleContents, report: VerifyReport): void {
  const hasProofs = members.named.has('open.tlog-proof') || members.named.has('close.tlog-proof');
  if (hasProofs || manifest.log !== undefined) {
    report.add('log inclusion', 'incomplete', 'not checked: log proofs of a later version');
  } else {
    report.add('log inclusion', 'not applicable', 'the session is not in a log');
  }
}

function verifyClientSignature(
  { envelope, manifest, certificate }: BundleContents,
  report: VerifyReport,
): void {
  const known = [certificate.clientKey, certificate.gatewayKey].map(keyId);
  if (envelope.signatures.some((signature) => !known.includes(signature.keyId))) {
    const text = 'manifest is signed by a key the certificate does not name';
    report.add('client signature', 'failed', text);
    return;
  }
  if (new Set(envelope.signatures.map((entry) => entry.keyId)).size < envelope.signatures.length) {
    report.add('client signature', 'failed', 'manifest is signed twice by the same key');
    return;
  }
  const claimsClient = manifest.clientJournalSha256 !== undefined;
  const hasSignature = envelope.signatures.some(
    (signature) => signature.keyId === keyId(certificate.clientKey),
  );
  if (manifest.interim && (claimsClient || hasSignature)) {
    report.add('client signature', 'failed', 'an interim manifest claims to be the client’s');
  } else if (isSignedBy(envelope, certificate.clientKey)) {
    // Only the client writes the hash of its own record into a manifest, and always does.
    report.conclude(
      'client signature',
      claimsClient ? [] : ['client signed a manifest that is not its own'],
      `manifest is signed by the session key ${short(certificate.clientKey)}`,
    );
  } else if (hasSignature) {
    report.add('client signature', 'failed', "the client's signature does not match the manifest");
  } else if (claimsClient) {
    report.add('client signature', 'failed', "the client's signature was removed");
  } else if (manifest.interim) {
    const text = `no client signature yet: interim recording (${manifest.endReason})`;
    report.add('client signature', 'incomplete', text);
  } else {
    const text = `no client signature: one-sided recording (${manifest.endReason})`;
    report.add('client signature', 'incomplete', text);
  }
}

function verifyGatewaySignature(
  { envelope, certificate, keyring }: BundleContents,
  isKeyringTrusted: boolean,
  report: VerifyReport,
): void {
  const { gatewayKey, notBeforeMs } = certificate;
  const hasSignature = envelope.signatures.some(
    (signature) => signature.keyId === keyId(gatewayKey),
  );
  if (!hasSignature) {
    const text = 'no gateway countersignature: one-sided recording';
    report.add('gateway signature', 'incomplete', text);
  } else if (!isSignedBy(envelope, gatewayKey)) {
    report.add(
      'gateway signature',
      'failed',
      "the gateway's signature does not match the manifest",
    );
  } else if (!isListed(keyring, 'gateway', gatewayKey, notBeforeMs)) {
    report.add('gateway signature', 'failed', "the gateway's key was not in its keyring then");
  } else if (!isKeyringTrusted) {
    report.add('gateway signature', 'incomplete', 'matches the keyring, which is not trusted');
  } else {
    const text = `manifest is signed by the gateway key ${short(gatewayKey)}`;
    report.add('gateway signature', 'ok', text);
  }
}

function verifyManifest(
  { manifest, certificate, certificateText, keys }: BundleContents,
  report: VerifyReport,
): void {
  const problems: string[] = [];
  if (!sameBytes(manifest.certificateSha256, sha256(utf8(certificateText)))) {
    problems.push('manifest was made for another session certificate');
  }
  if (manifest.session !== certificate.session) {
    problems.push('manifest names another session');
  }
  if (manifest.target !== certificate.target) {
    problems.push('manifest names another target');
  }
  if (manifest.policyCommit !== certificate.policy.commit) {
    problems.push('manifest names another policy commit');
  }
  if (keys !== undefined && !sameBytes(certificate.saltKeySha256, sha256(keys.saltKey))) {
    problems.push('the salt key is not the one that the certificate names');
  }
  const [owner] = manifest.owners;
  if (
    owner?.term !== 1 ||
    owner.fromCut !== 0 ||
    !sameBytes(owner.nodeKey, certificate.gatewayKey)
  ) {
    problems.push('manifest names another gateway as the one that began the recording');
  }
  if (problems.length === 0 && manifest.owners.length > 1) {
    report.add('manifest', 'incomplete', 'not checked: owners of a later version');
    return;
  }
  const commit = manifest.policyCommit.slice(0, 12);
  report.conclude('manifest', problems, `target ${manifest.target}, policy commit ${commit}`);
}

function short(key: Uint8Array): string {
  return toHex(sha256(key)).slice(0, 16);
}
