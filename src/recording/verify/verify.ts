/**
 * Checks one bundle against keys that were pinned before, with no network and no clock of its own.
 * The order is that of docs/design/0002-recording.md. What cannot be checked is said to be so;
 * nothing that was passed over counts as good.
 */
import { CutOffError, FormatError, OldFormatError } from '../../format-error.ts';
import { type BundleContents, readBundleContents } from '../bundle/bundle-contents.ts';
import type { BundleSource } from '../bundle/bundle-source.ts';
import { counted } from '../formats/counted.ts';
import { verifyChunks } from './verify-chunks.ts';
import { verifyFrames } from './verify-frames.ts';
import { CHECK_NAMES, type Check, VerifyReport } from './verify-report.ts';
import { type SignatureTrust, verifySignatures } from './verify-signatures.ts';

export type { Check } from './verify-report.ts';

export interface VerifyTrust extends SignatureTrust {
  /** A recording that only the gateway vouches for, in whole or from some cut on, is good enough. */
  readonly allowOneSided?: boolean;
}

export interface Verification {
  readonly v: 1;
  readonly session: string | undefined;
  /** 0 verified, 1 tampered, 2 no trust, incomplete or one-sided. */
  readonly exitStatus: 0 | 1 | 2;
  readonly verdict: string;
  /** Nothing is wrong but that the client has not signed all of it: `allowOneSided` accepts that. */
  readonly isOneSided: boolean;
  readonly checks: readonly Check[];
}

/** Never throws for what is in the bundle. */
export function verifyBundle(source: BundleSource, trust: VerifyTrust): Verification {
  const report = new VerifyReport();
  let contents: BundleContents;
  try {
    contents = readBundleContents(source);
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    if (error instanceof OldFormatError) {
      report.add('bundle', 'untrusted', error.message);
      fillUnchecked(report, `not checked: ${error.message}`);
    } else if (error instanceof CutOffError) {
      // A download that broke off looks like this. Whoever cut it, nothing of it counts as good.
      report.add('bundle', 'incomplete', `${error.message}: download the bundle again`);
      fillUnchecked(report, 'not checked: the file ends early');
    } else {
      report.add('bundle', 'failed', `bundle is malformed: ${error.message}`);
      fillUnchecked(report, 'not checked: the bundle is malformed');
    }
    return conclude(undefined, report, trust);
  }
  report.add(
    'bundle',
    'ok',
    `${counted(contents.members.chunks.length, 'chunk')}, ${source.size} bytes`,
  );
  verifySignatures(contents, trust, report);
  const points = verifyFrames(contents, report);
  verifyChunks(contents, points, report);
  verifyTimes(contents, report);
  fillUnchecked(report, 'not checked: an earlier check left nothing to check');
  return conclude(contents, report, trust);
}

/** Every check has its line, in the order of the list. */
function fillUnchecked(report: VerifyReport, text: string): void {
  for (const name of CHECK_NAMES) {
    if (!report.checks.some((check) => check.name === name)) {
      report.add(name, 'incomplete', text);
    }
  }
  report.checks.sort(
    (left, right) => CHECK_NAMES.indexOf(left.name) - CHECK_NAMES.indexOf(right.name),
  );
}

function conclude(
  contents: BundleContents | undefined,
  report: VerifyReport,
  trust: VerifyTrust,
): Verification {
  const session = contents?.manifest.session;
  const result = (exitStatus: 0 | 1 | 2, verdict: string, isOneSided = false): Verification => ({
    v: 1,
    session,
    exitStatus,
    verdict,
    isOneSided,
    checks: report.checks,
  });
  const failed = report.first('failed');
  if (failed !== undefined) {
    return result(1, `tampered: ${failed.text}`);
  }
  const untrusted = report.first('untrusted');
  if (untrusted !== undefined) {
    return result(2, `not verified: ${untrusted.text}`);
  }
  const open = report.checks.filter(({ status }) => status === 'incomplete');
  const [first] = open;
  if (first === undefined) {
    return result(0, 'verified (two-sided, not logged)');
  }
  if (first.name === 'bundle') {
    return result(2, `incomplete: ${first.text}`);
  }
  // Whom the session is about could cut off its end and change its events without the gateway.
  if (open.some(({ name }) => name === 'gateway signature')) {
    return result(2, 'incomplete: one-sided: client only');
  }
  // Only that the client is missing can be allowed; a check that was not made cannot.
  const unchecked = open.find(({ name }) => !WITHOUT_CLIENT.has(name));
  if (unchecked !== undefined) {
    return result(2, `incomplete: ${unchecked.text}`);
  }
  const isInterim = contents?.manifest.interim === true;
  const sides = `${isInterim ? 'interim, ' : ''}${sidesText(contents)}`;
  if (trust.allowOneSided) {
    return result(0, `verified (${sides}, not logged)`, true);
  }
  const later = isInterim ? ': the client may still deliver' : '';
  return result(2, `incomplete: ${sides}${later}`, true);
}

const WITHOUT_CLIENT: ReadonlySet<string> = new Set(['client signature', 'cuts']);

function sidesText(contents: BundleContents | undefined): string {
  const cuts = contents?.manifest.cuts ?? [];
  const both = cuts.filter(({ client }) => client !== undefined).length;
  if (both === cuts.length) {
    return 'one-sided';
  }
  return both === 0 ? 'one-sided: gateway only' : `two-sided up to cut ${both}, then gateway only`;
}

/** Clocks that differ by more than this are worth a word. */
const CLOCK_WARNING_MS = 120_000;

/** Check 15. */
function verifyTimes(contents: BundleContents, report: VerifyReport): void {
  const { manifest, certificate } = contents;
  const { startedMs, endedMs } = manifest;
  if (startedMs < certificate.notBeforeMs || startedMs > certificate.notAfterMs) {
    report.add('times', 'failed', 'the session is outside the lifetime of its certificate');
    return;
  }
  const warnings: string[] = [];
  if (endedMs > certificate.notAfterMs) {
    // The gateway ends sessions by a clock that does not jump; the wall clock may.
    warnings.push("the session ended after its certificate, by the gateway's clock");
  }
  if (endedMs < startedMs) {
    warnings.push("the gateway's clock went back during the session");
  }
  let previousMs = startedMs;
  let difference = 0;
  for (const { client, gateway } of manifest.cuts) {
    if (gateway.timeMs < previousMs) {
      warnings.push("the gateway's clock went back between cuts");
    }
    previousMs = gateway.timeMs;
    if (client !== undefined) {
      difference = Math.max(difference, Math.abs(client.timeMs - gateway.timeMs));
    }
  }
  if (difference > CLOCK_WARNING_MS) {
    warnings.push(`clocks differ by ${Math.round(difference / 1000)} s`);
  }
  const [first] = warnings;
  if (first !== undefined) {
    report.add('times', 'warning', first);
    return;
  }
  const span = `${new Date(startedMs).toISOString()} to ${new Date(endedMs).toISOString()}`;
  report.add('times', 'ok', span);
}
