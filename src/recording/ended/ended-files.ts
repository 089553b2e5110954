/** Loads the keys and the certificate of a recording whose session has ended. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing } from '../../home.ts';
import { sameBytes } from '../formats/encoding.ts';
import { readCertificateUnverified } from '../keys/certificate.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { retiredGatewayKey } from '../keys/gateway-keys.ts';
import { loadRecordingKeys, type RecordingKeys } from '../keys/recording-keys.ts';
import {
  CERTIFICATE_FILE,
  type RecordingStore,
  recordingDirectory,
} from '../write/recording-store.ts';
import { segmentName } from '../write/segment-writer.ts';

export interface EndedFiles {
  readonly keys: RecordingKeys;
  /** The session certificate's text. */
  readonly certificate: string;
  /** That which the certificate names. */
  readonly gatewayKey: SigningKey;
}

/**
 * @param gatewayKey that of now
 * @throws HoopError HOOP_RECORDING_LOST, HOOP_RECORDING_DAMAGED
 */
export async function readEndedFiles(
  store: RecordingStore,
  session: string,
  gatewayKey: SigningKey,
): Promise<EndedFiles> {
  // A segment that is missing among others is damage, which the scan names.
  await requireSegments(store, session, 0);
  const keys = loadRecordingKeys(store.keysDir, session);
  const certificate = await readText(join(recordingDirectory(store, session), CERTIFICATE_FILE));
  if (certificate === undefined) {
    throw lost('its certificate');
  }
  return { keys, certificate, gatewayKey: signingKeyFor(store, gatewayKey, certificate) };
}

/** @returns undefined when there is no such file */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}

/** The key that the certificate names, which may have been replaced since. */
function signingKeyFor(
  store: RecordingStore,
  gatewayKey: SigningKey,
  certificate: string,
): SigningKey {
  const wanted = readCertificateUnverified(certificate).gatewayKey;
  if (sameBytes(wanted, gatewayKey.publicKey)) {
    return gatewayKey;
  }
  const retired = retiredGatewayKey(store.keysDir, wanted);
  if (retired === undefined) {
    throw new HoopError('HOOP_RECORDING_DAMAGED', 'the key that signs this session is gone', {
      hint: 'Restore the keys directory from the backup.',
    });
  }
  return retired;
}

/**
 * Checks that the files are still where the gateway wrote them.
 * @param segments how many the recording has at least
 * @throws HOOP_RECORDING_LOST
 */
export async function requireSegments(
  store: RecordingStore,
  session: string,
  segments: number,
): Promise<void> {
  const directory = recordingDirectory(store, session);
  const names = await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) throw lost('its directory');
    throw error;
  });
  if (!names.some((name) => name.endsWith('.hrs'))) {
    throw lost('its segments');
  }
  for (let segment = 1; segment <= segments; segment += 1) {
    const name = segmentName(segment);
    if (!names.includes(name)) throw lost(`its segment "${name}"`);
  }
}

function lost(what: string): HoopError {
  return new HoopError('HOOP_RECORDING_LOST', 'the files of this recording are gone', {
    detail: `The gateway no longer has ${what}: deleted, moved, or not restored with the rest.`,
    hint: 'Ask the operator of the gateway, who may have a backup of its data directory.',
  });
}
