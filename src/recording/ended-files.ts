/** What the work on a recording whose session has ended begins with: its keys and its certificate. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoopError } from '../errors.ts';
import { isMissing } from '../home.ts';
import { readCertificateUnverified } from './certificate.ts';
import type { SigningKey } from './ed25519.ts';
import { sameBytes } from './encoding.ts';
import { retiredGatewayKey } from './gateway-keys.ts';
import { loadRecordingKeys, type RecordingKeys } from './recording-keys.ts';
import { CERTIFICATE_FILE, type RecordingStore, recordingDirectory } from './recording-store.ts';

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
  const directory = recordingDirectory(store, session);
  await requireFiles(directory);
  const keys = loadRecordingKeys(store.keysDir, session);
  const certificate = await readText(join(directory, CERTIFICATE_FILE));
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

/** @throws HOOP_RECORDING_LOST */
async function requireFiles(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) throw lost('its directory');
    throw error;
  });
  if (!names.some((name) => name.endsWith('.hrs'))) {
    throw lost('its segments');
  }
}

function lost(what: string): HoopError {
  return new HoopError('HOOP_RECORDING_LOST', 'the files of this recording are gone', {
    detail: `The gateway no longer has ${what}: deleted, or not restored with the rest.`,
    hint: 'Whoever runs the gateway may have a backup of its data directory.',
  });
}
