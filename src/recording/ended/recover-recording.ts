/**
 * Repairs what a crash left: whatever follows the last whole frame is saved beside and cut off,
 * and a RECOVERED frame in a new segment says so. A torn segment is never appended to: its nonces
 * may have been used.
 */
import { existsSync } from 'node:fs';
import { open, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../../format-error.ts';
import { readSignedCuts } from '../cuts/signed-cuts.ts';
import { canonicalJson } from '../formats/canonical-json.ts';
import { utf8 } from '../formats/encoding.ts';
import type { RecoveredBody } from '../formats/notice-bodies.ts';
import type { RecordingEvent } from '../formats/types.ts';
import { vouchedFrames } from '../write/closed-file.ts';
import { MANIFEST_FILE } from '../write/recording-store.ts';
import {
  type FrameBody,
  SegmentWriter,
  segmentName,
  syncDirectory,
} from '../write/segment-writer.ts';
import {
  type ScannedRecording,
  type ScanOptions,
  scanRecording,
  type TornTail,
} from './scan-recording.ts';

/**
 * Scans, and repairs what was being written when the process or the power went.
 * @param mayWrite rejects where this process is not the owner (any more); scanning takes a while
 * @throws FormatError `truncated …` when more is missing than a crash can take
 */
export async function recoverRecording(
  options: ScanOptions,
  mayWrite: () => Promise<void> = async () => undefined,
): Promise<ScannedRecording> {
  const { directory } = options;
  const signed = readSignedCuts(directory);
  const closedWith = vouchedFrames(directory);
  // A manifest names every frame.
  const isComplete = existsSync(join(directory, MANIFEST_FILE));
  const scan = await scanRecording(options, {
    signedCuts: signed,
    vouchedFrames: isComplete ? undefined : closedWith,
  });
  const agreed = scan.cuts.filter(({ type }) => type === 'agreed').length;
  if (agreed < signed) {
    throw new FormatError(`recording is truncated below signed cut ${signed - 1}`, {
      detail: `The files end after cut ${agreed - 1}. A crash cannot cause this: cuts are signed only after their bytes are on disk.`,
      hint: 'Nothing was changed. Keep the files and check the disk.',
    });
  }
  if (scan.frames < (closedWith ?? 0)) {
    throw new FormatError(`recording is truncated below its ${closedWith} frames`, {
      detail: `The files have ${scan.frames} frames. A crash cannot cause this: the others were on disk when it was closed.`,
      hint: 'Nothing was changed. Keep the files and check the disk.',
    });
  }
  if (scan.torn === undefined && (scan.end !== undefined || scan.events.close !== undefined)) {
    return scan;
  }
  await mayWrite();
  if (scan.torn !== undefined) {
    await saveTail(directory, scan.torn);
  }
  await appendFrames(options, scan, recoveryFrames(scan));
  return await scanRecording(options);
}

export type FrameToAppend = readonly ['event' | 'cut' | 'recovered' | 'repair' | 'end', FrameBody];

/** Appends to a recording that is not being written, in a segment of its own, and syncs. */
export async function appendFrames(
  options: ScanOptions,
  scan: Pick<ScannedRecording, 'segments' | 'frames' | 'head' | 'point'>,
  frames: readonly FrameToAppend[],
): Promise<void> {
  const { directory, session, dataKey } = options;
  const writer = new SegmentWriter({
    directory,
    session,
    dataKey,
    after: {
      segment: scan.segments,
      seq: scan.frames,
      head: scan.head,
      lastHead: scan.point.head,
    },
    onFailure: () => undefined,
    onSyncStart: () => undefined,
    onSynced: () => undefined,
  });
  try {
    for (const [type, body] of frames) {
      writer.appendOther(type, body);
    }
    await writer.sync();
  } finally {
    await writer.close();
  }
}

function recoveryFrames(scan: ScannedRecording): FrameToAppend[] {
  const body: RecoveredBody = {
    v: 1,
    tornSegment: scan.torn?.segment ?? null,
    tornAt: scan.torn?.position ?? 0,
    tornBytes: scan.torn?.bytes ?? 0,
    isDamaged: scan.torn?.isDamaged ?? false,
  };
  const frames: FrameToAppend[] = [['recovered', utf8(canonicalJson(body))]];
  if (scan.events.close === undefined) {
    const event: RecordingEvent = {
      type: 'session.close',
      reason: 'gateway_crash',
      message: undefined,
    };
    frames.push(['event', utf8(canonicalJson(event))]);
  }
  return frames;
}

async function saveTail(directory: string, torn: TornTail): Promise<void> {
  for (const name of torn.later) {
    await rename(join(directory, name), unusedName(join(directory, `${name}.torn`)));
  }
  const path = join(directory, segmentName(torn.segment));
  const saved = unusedName(`${path}.torn`);
  if (torn.position === 0) {
    // Not even a header: the file as it is, under the other name.
    await rename(path, saved);
    await syncDirectory(directory);
    return;
  }
  const bytes = await readFile(path);
  await writeFile(saved, bytes.subarray(torn.position), { flag: 'wx', mode: 0o600, flush: true });
  await syncDirectory(directory);
  await truncate(path, torn.position);
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A segment's number is used again where not even its header was whole: what was saved before stays. */
function unusedName(wanted: string): string {
  let name = wanted;
  for (let n = 2; existsSync(name); n += 1) {
    name = `${wanted}.${n}`;
  }
  return name;
}
