import type { EvidenceLine } from '../recording/types.ts';

/** The gateway's lines are short; a longer one is not for showing. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Stream 0 as lines, for showing. What cannot be read is left out: the recording has it anyway. */
export class EvidenceLines {
  #rest = Buffer.alloc(0);

  push(bytes: Uint8Array): EvidenceLine[] {
    const lines: EvidenceLine[] = [];
    let buffer = Buffer.concat([this.#rest, bytes]);
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE)) {
      const line = parseLine(buffer.subarray(0, end).toString('utf8'));
      if (line) {
        lines.push(line);
      }
      buffer = buffer.subarray(end + 1);
    }
    this.#rest = buffer.length > MAX_LINE_BYTES ? Buffer.alloc(0) : buffer;
    return lines;
  }
}

function parseLine(text: string): EvidenceLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // Written by the gateway that we trust for it; the type says which of the few shapes it is.
    return typeof value === 'object' && value !== null && 'type' in value
      ? (value as EvidenceLine)
      : undefined;
  } catch {
    return undefined;
  }
}
