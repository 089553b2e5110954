/**
 * What a client keeps of a session: `<sessions>/<id>/` with
 *
 *     spool.json       certificate, keyring and where it was; nothing secret
 *     session-key      with which cuts and the manifest are signed; 0600
 *     journal, open-*  what it has witnessed: hashes and signatures, no content (journal-records.ts)
 *     owner            process that writes or uploads it
 *     receipt.json     the countersigned manifest
 *     kept-until       the gateway's word at the end of the session, when it named a time
 *     unknown-since    when the gateway first said that it does not have the session
 *     given-up         empty; it has said so for a week, and is not asked again
 *
 * The salt key is never here: with it and the leaves short rows could be guessed. The journal and
 * the receipt stay for as long as the gateway said that it keeps the recording: they alone show that
 * there was one.
 */
import { createPrivateKey } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { OldFormatError } from '../../format-error.ts';
import { isMissing } from '../../home.ts';
import { isRunning } from '../../is-running.ts';
import { isSessionId } from '../../session-id.ts';
import { canonicalJson, parseCanonicalJson } from '../formats/canonical-json.ts';
import { fromBase64, toBase64 } from '../formats/encoding.ts';
import { openFileName } from '../formats/journal-records.ts';
import { parseShape } from '../formats/parse-shape.ts';
import { type SigningKey, signingKeyFrom } from '../keys/ed25519.ts';
import { readPrivateFile, writePrivateFile } from '../keys/private-file.ts';

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

export interface Receipt {
  /** The manifest with both signatures. */
  readonly envelope: string;
  readonly receivedMs: number;
}

const KEY_FILE = 'session-key';
/** Of format 1, whose client kept a recording of its own. */
const OLD_KEYS_FILE = 'keys.json';
const RECEIPT_FILE = 'receipt.json';
const KEPT_FILE = 'kept-until';

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
const ReceiptShape = z.strictObject({
  v: z.literal(1),
  envelope: z.string(),
  receivedMs: z.number().int(),
});

/** @returns the spool's directory */
export async function createSpool(
  sessions: string,
  spool: Spool,
  sessionKey: SigningKey,
): Promise<string> {
  await mkdir(sessions, { recursive: true, mode: 0o700 });
  const directory = join(sessions, spool.session);
  await mkdir(directory, { mode: 0o700 });
  const pkcs8 = sessionKey.privateKey.export({ format: 'der', type: 'pkcs8' });
  writePrivateFile(join(directory, KEY_FILE), toBase64(pkcs8));
  const facts: z.infer<typeof SpoolShape> = { v: 1, ...spool, rootKey: toBase64(spool.rootKey) };
  writePrivateFile(join(directory, 'spool.json'), canonicalJson(facts));
  return directory;
}

/** @throws HoopError HOOP_SESSION_UNKNOWN; OldFormatError */
export function readSpool(directory: string): {
  readonly spool: Spool;
  readonly sessionKey: SigningKey;
} {
  if (existsSync(join(directory, OLD_KEYS_FILE))) {
    throw new OldFormatError();
  }
  const facts = readPrivateFile(join(directory, 'spool.json'));
  const secret = readPrivateFile(join(directory, KEY_FILE));
  if (facts === undefined || secret === undefined) {
    throw new HoopError('HOOP_SESSION_UNKNOWN', 'there is no local journal of this session');
  }
  const { v: _, rootKey, ...spool } = parse(SpoolShape, facts, 'spool.json');
  const der = Buffer.from(fromBase64(new TextDecoder().decode(secret), 'the session key'));
  return {
    spool: { ...spool, rootKey: fromBase64(rootKey, 'the root key', 32) },
    sessionKey: signingKeyFrom(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })),
  };
}

/** From here on nothing more is signed: the key and the leaves that no cut covers go. */
export function writeReceipt(directory: string, receipt: Receipt, keptUntilMs?: number): void {
  if (keptUntilMs !== undefined) {
    writePrivateFile(join(directory, KEPT_FILE), String(keptUntilMs));
  }
  writePrivateFile(join(directory, RECEIPT_FILE), canonicalJson({ v: 1, ...receipt }));
  for (const name of [KEY_FILE, openFileName(0), openFileName(1)]) {
    rmSync(join(directory, name), { force: true });
  }
}

/** Whether a session is settled; for thousands of them nothing is read. */
export function hasReceipt(directory: string): boolean {
  return existsSync(join(directory, RECEIPT_FILE));
}

/** Until when the gateway keeps the recording, milliseconds since 1970; undefined: it named no end. */
export function keptUntil(directory: string): number | undefined {
  const path = join(directory, KEPT_FILE);
  const text = existsSync(path) ? new TextDecoder().decode(readPrivateFile(path)) : '';
  return text === '' ? undefined : Number(text);
}

export function readReceipt(directory: string): Receipt | undefined {
  const bytes = readPrivateFile(join(directory, RECEIPT_FILE));
  if (bytes === undefined) {
    return undefined;
  }
  const { envelope, receivedMs } = parse(ReceiptShape, bytes, RECEIPT_FILE);
  return { envelope, receivedMs };
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

/** The journal stays: it may be all that is left of the session. */
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

/** Its session goes on in another process, or that one uploads what it has found left behind. */
export class SpoolInUse extends HoopError {
  constructor() {
    super('HOOP_LOCAL_STATE', 'another process is using this recording', {
      hint: 'Wait until it has ended.',
    });
  }
}
