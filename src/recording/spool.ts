/**
 * A client's recording on disk until it is uploaded, and a week longer: `<sessions>/<id>/` with
 *
 *     spool.json     what is needed to upload it, nothing secret
 *     keys.json      data key, salt key, session key; 0600
 *     seg-*.hrs      the recording
 *     owner          process that writes or uploads it
 *     receipt.json   the countersigned manifest
 *     unknown-since  when the gateway first said that it does not have the session
 *     given-up       empty; it has said so for a week, and is not asked again
 *
 * The data key lies beside what it encrypts. That does not protect from whoever has the whole
 * directory; it does make copies of the segments alone useless (bug reports, sync, blocks of
 * deleted files), and deleting 32 bytes erases the file. An OS keychain would ask, block or be
 * absent exactly when a session ends or CI runs.
 */
import { createPrivateKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../errors.ts';
import { isMissing } from '../home.ts';
import { isRunning } from '../is-running.ts';
import { isSessionId } from '../session-id.ts';
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts';
import { type SigningKey, signingKeyFrom } from './ed25519.ts';
import { fromBase64, toBase64 } from './encoding.ts';
import { parseShape } from './parse-shape.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import type { RecordingKeys } from './recording-keys.ts';

export interface Spool {
  readonly session: string;
  readonly gatewayUrl: string;
  readonly target: string;
  readonly startedMs: number;
  /** Texts, verified when the session began. */
  readonly certificate: string;
  readonly keyring: string;
  readonly rootKey: Uint8Array;
}

export interface SpoolKeys extends RecordingKeys {
  readonly sessionKey: SigningKey;
}

export interface Receipt {
  /** The manifest with both signatures. */
  readonly envelope: string;
  readonly receivedMs: number;
}

const SpoolShape = z.strictObject({
  v: z.literal(1),
  session: z.string().refine(isSessionId),
  gatewayUrl: z.string(),
  target: z.string(),
  startedMs: z.number().int(),
  certificate: z.string(),
  keyring: z.string(),
  rootKey: z.string(),
});
const KeysShape = z.strictObject({
  v: z.literal(1),
  dataKey: z.string(),
  saltKey: z.string(),
  sessionKey: z.string(),
});
const ReceiptShape = z.strictObject({
  v: z.literal(1),
  envelope: z.string(),
  receivedMs: z.number().int(),
});

/** @returns the spool's directory */
export async function createSpool(
  sessions: string,
  spool: Spool,
  keys: SpoolKeys,
): Promise<string> {
  await mkdir(sessions, { recursive: true, mode: 0o700 });
  const directory = join(sessions, spool.session);
  await mkdir(directory, { mode: 0o700 });
  const pkcs8 = keys.sessionKey.privateKey.export({ format: 'der', type: 'pkcs8' });
  const secrets: z.infer<typeof KeysShape> = {
    v: 1,
    dataKey: toBase64(keys.dataKey),
    saltKey: toBase64(keys.saltKey),
    sessionKey: toBase64(pkcs8),
  };
  writePrivateFile(join(directory, 'keys.json'), canonicalJson(secrets));
  const facts: z.infer<typeof SpoolShape> = { v: 1, ...spool, rootKey: toBase64(spool.rootKey) };
  writePrivateFile(join(directory, 'spool.json'), canonicalJson(facts));
  return directory;
}

/** @throws HoopError HOOP_SESSION_UNKNOWN */
export function readSpool(directory: string): { readonly spool: Spool; readonly keys: SpoolKeys } {
  const facts = readPrivateFile(join(directory, 'spool.json'));
  const secrets = readPrivateFile(join(directory, 'keys.json'));
  if (facts === undefined || secrets === undefined) {
    throw new HoopError('HOOP_SESSION_UNKNOWN', 'there is no local recording of this session');
  }
  const { v: _, rootKey, ...spool } = parse(SpoolShape, facts, 'spool.json');
  const keys = parse(KeysShape, secrets, 'keys.json');
  const der = Buffer.from(fromBase64(keys.sessionKey, 'the session key'));
  return {
    spool: { ...spool, rootKey: fromBase64(rootKey, 'the root key', 32) },
    keys: {
      dataKey: fromBase64(keys.dataKey, 'the data key', 32),
      saltKey: fromBase64(keys.saltKey, 'the salt key', 32),
      sessionKey: signingKeyFrom(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })),
    },
  };
}

export function writeReceipt(directory: string, receipt: Receipt): void {
  writePrivateFile(join(directory, 'receipt.json'), canonicalJson({ v: 1, ...receipt }));
}

export function readReceipt(directory: string): Receipt | undefined {
  const bytes = readPrivateFile(join(directory, 'receipt.json'));
  return bytes === undefined ? undefined : parse(ReceiptShape, bytes, 'receipt.json');
}

/**
 * When the gateway first said that it does not have the session: its disk may have been away, or a
 * backup that lacks it be in place for a day.
 * @returns milliseconds since 1970; `nowMs` the first time
 */
export function unknownSince(directory: string, nowMs: number): number {
  const path = join(directory, 'unknown-since');
  const known = readPrivateFile(path);
  const sinceMs = Number(new TextDecoder().decode(known));
  if (sinceMs > 0 && sinceMs <= nowMs) return sinceMs;
  writePrivateFile(path, String(nowMs));
  return nowMs;
}

/** What is recorded here stays: it may be all that is left of the session. */
export function giveUpSpool(directory: string): void {
  writePrivateFile(join(directory, 'given-up'), '');
}

export function isGivenUp(directory: string): boolean {
  return existsSync(join(directory, 'given-up'));
}

/** Names of the spools in a sessions directory, oldest first. */
export async function spooledSessions(sessions: string): Promise<string[]> {
  try {
    return (await readdir(sessions)).filter(isSessionId).sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

/** Marks a spool as this process's; another live process must keep its hands off it. */
export function claimSpool(directory: string): void {
  writePrivateFile(join(directory, 'owner'), String(process.pid));
}

export function releaseSpool(directory: string): void {
  writePrivateFile(join(directory, 'owner'), '');
}

/** Whether another process that still runs has claimed it. */
export async function isClaimedByOther(directory: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(join(directory, 'owner'), 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return false;
    }
    throw error;
  }
  const pid = Number(text);
  return pid > 0 && pid !== process.pid && isRunning(pid);
}

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, name: string): T {
  return parseShape(schema, parseCanonicalJson(bytes, `"${name}"`), `"${name}"`);
}

/** @throws HoopError HOOP_SESSION_UNKNOWN for what is no session id */
export function spoolDirectory(sessions: string, session: string): string {
  if (!isSessionId(session)) {
    throw new HoopError('HOOP_SESSION_UNKNOWN', 'not a session id');
  }
  return join(sessions, session);
}
