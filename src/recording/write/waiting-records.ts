/** What one turn of the event loop leaves for the record, until it is one frame. */
import { DATA_PREFIX_LENGTH, writeDataPrefix } from '../formats/data-body.ts';
import type { Committed, DataPlace } from '../formats/frame-digest.ts';
import { GROUP_HEAD, GROUP_RECORD_HEAD, writeGroupRecordHead } from '../formats/group-body.ts';

/** @param parts one behind the other */
interface DataRecord extends DataPlace {
  readonly parts: readonly Uint8Array[];
}

/** An event is its canonical JSON. */
type Record = { readonly text: string; readonly length: number } | DataRecord;

export interface RecordedData {
  readonly place: DataPlace;
  /** A view of the body: what was written, whatever becomes of the memory that it came in. */
  readonly bytes: Uint8Array;
}

export interface FrameOfRecords {
  readonly type: 'data' | 'event' | 'group';
  readonly body: Uint8Array;
  readonly data: readonly RecordedData[];
  readonly records: readonly Committed[];
}

export class WaitingRecords {
  #records: Record[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  /** Of the bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  event(text: string): void {
    const length = Buffer.byteLength(text);
    this.#records.push({ text, length });
    this.#bytes += length;
  }

  data(data: DataRecord): void {
    this.#records.push(data);
    this.#bytes += DATA_PREFIX_LENGTH + data.length;
  }

  /** A group, or what is alone as a frame of its own. Nothing waits any more. */
  take(): FrameOfRecords {
    const records = this.#records;
    const data: RecordedData[] = [];
    const [only] = records;
    const isGroup = records.length > 1 || only === undefined;
    const committed: Committed[] = [];
    const heads = isGroup ? GROUP_HEAD + records.length * GROUP_RECORD_HEAD : 0;
    const body = Buffer.allocUnsafe(this.#bytes + heads);
    let at = isGroup ? body.writeUInt32BE(records.length, 0) : 0;
    for (const record of records) {
      at = isGroup ? writeHead(body, at, record) : at;
      const end = writeBody(body, at, record);
      if ('text' in record) {
        committed.push({ type: 'event', body: body.subarray(at, end) });
      } else {
        committed.push({ type: 'data', place: record });
        data.push({ place: record, bytes: body.subarray(at + DATA_PREFIX_LENGTH, end) });
      }
      at = end;
    }
    this.#records = [];
    this.#bytes = 0;
    const type = isGroup ? 'group' : 'text' in only ? 'event' : 'data';
    return { type, body, data, records: committed };
  }
}

function writeHead(body: Buffer, at: number, record: Record): number {
  const isEvent = 'text' in record;
  const length = isEvent ? record.length : DATA_PREFIX_LENGTH + record.length;
  writeGroupRecordHead(body, at, isEvent ? 'event' : 'data', length);
  return at + GROUP_RECORD_HEAD;
}

/** @returns where it ends */
function writeBody(body: Buffer, at: number, record: Record): number {
  if ('text' in record) {
    return at + body.write(record.text, at);
  }
  const { stream, direction, offset, parts } = record;
  writeDataPrefix(body, at, stream, direction, offset);
  let end = at + DATA_PREFIX_LENGTH;
  for (const part of parts) {
    body.set(part, end);
    end += part.length;
  }
  return end;
}
