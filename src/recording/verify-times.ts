/** Check 15. */
import type { BundleContents } from './bundle-contents.ts';
import type { VerifyReport } from './verify-report.ts';

/** Clocks that differ by more than this are worth a word. */
const CLOCK_WARNING_MS = 120_000;

export function verifyTimes(contents: BundleContents, report: VerifyReport): void {
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
