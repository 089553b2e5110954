/**
 * What masks and detectors cost, without a database, tunnel or recording: chunks of 64 KiB, as they come
 * from a socket, through the scanner of messages and the masker. CPU time of the thread, so that a busy
 * machine says the same; the best of the rounds. Beside it the implementation that went over rows, which the
 * tests keep as oracle, and chunks that only pass.
 *
 *   node bench/masks.ts [--only TEXT] [--rounds 5] [--ms 300]
 */
import { parseArgs } from 'node:util';
import {
  ColumnMasker,
  type ColumnMaskerOptions,
  type ResultColumn,
} from '../src/connectors/postgres/masking/column-masker.ts';
import { CopyRewriter } from '../src/connectors/postgres/masking/copy-rewriter.ts';
import { createCopyScanner } from '../src/connectors/postgres/masking/copy-scanner.ts';
import { RowMasker } from '../src/connectors/postgres/masking/row-masker.ts';
import { TYPE } from '../src/connectors/postgres/masking/type-oids.ts';
import { encodeDataRow } from '../src/connectors/postgres/protocol/backend-messages.ts';
import { encodeCopyData } from '../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  type Handling,
  MessageScanner,
} from '../src/connectors/postgres/protocol/message-scanner.ts';
import type { DetectorName, MaskKind } from '../src/policy/types.ts';
import { ColumnMasker as OracleColumnMasker } from '../test/connectors/postgres/masking/oracle/column-masker.ts';
import { CopyRewriter as OracleCopyRewriter } from '../test/connectors/postgres/masking/oracle/copy-rewriter.ts';
import { createCopyScanner as oracleCopyScanner } from '../test/connectors/postgres/masking/oracle/copy-scanner.ts';
import { RowMasker as OracleRowMasker } from '../test/connectors/postgres/masking/oracle/row-masker.ts';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '300' },
  },
});

const CHUNK = 64 * 1024;
const CHUNKS = 32;
const MAX_MESSAGE = 64 * 1024 * 1024;
const ALL: readonly DetectorName[] = [
  ...(['card', 'ssn', 'email', 'iban', 'jwt', 'cloud-key', 'vcs-token', 'private-key'] as const),
  'url-password',
];

let state = 7;
/** A linear congruential generator, so that all runs have the same texts. */
function below(limit: number): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return (state >> 8) % limit;
}
const digits = (length: number): string => Array.from({ length }, () => below(10)).join('');
const hex = (length: number): string =>
  Array.from({ length }, () => below(16).toString(16)).join('');
const WORDS =
  'the order of this customer was sent back because nobody had signed for it at the door'.split(
    ' ',
  );
const words = (count: number): string =>
  Array.from({ length: count }, () => WORDS[below(WORDS.length)]).join(' ');

/** A kilobyte or so of each, without anything to be found. */
const TEXTS: Readonly<Record<string, () => string>> = {
  'one letter': () => 'x'.repeat(1000),
  words: () => words(220),
  JSON: () =>
    JSON.stringify({
      id: below(1e6),
      name: words(4),
      tags: [words(2), words(1)],
      active: true,
      notes: words(160),
      total: below(1e5) / 100,
      when: '2026-11-22',
    }),
  'JSON with escapes': () =>
    JSON.stringify({
      id: below(1e6),
      text: `${words(40)}\n"${words(40)}"\t${words(40)}\n`,
      path: '/a/b',
    }),
  'log lines': () =>
    Array.from(
      { length: 8 },
      () =>
        `2026-11-${10 + below(18)}T${10 + below(13)}:${10 + below(49)}:${10 + below(49)}.${digits(6)}Z INFO 10.0.${below(255)}.${below(255)}:${below(65535)} GET /api/v1/items/${digits(6)}?page=${below(50)} 200 ${below(90_000)} ${below(999)}.${digits(3)}ms req=${hex(16)}`,
    ).join('\n'),
  'hex digests': () => Array.from({ length: 15 }, () => hex(64)).join(' '),
  'one hex digest': () => hex(64),
  UUIDs: () =>
    Array.from({ length: 27 }, () => `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`).join(
      ' ',
    ),
  German: () => words(200).replaceAll('o', 'ö'),
};

interface Work {
  readonly title: string;
  readonly chunks: readonly Buffer[];
  /** Both go over all chunks once. @returns bytes that came out, so that nothing is left out. */
  readonly old: (() => number) | undefined;
  readonly now: () => number;
}

const person = (index: number): (string | null)[] => [
  String(index),
  `Person number ${index}`,
  `person.${index}@mail.example`,
  String(index).padStart(16, '4'),
  `City ${index % 500}`,
  '2026-01-05 09:00:00+00',
  (index * 1.25).toFixed(2),
  'a note of some length '.repeat(6),
];
const PERSON_TYPES = [
  TYPE.int4,
  TYPE.text,
  TYPE.text,
  TYPE.text,
  TYPE.text,
  TYPE.timestamptz,
  TYPE.numeric,
  TYPE.text,
];
const BINARY_LENGTHS = [4, 0, 0, 0, 0, 8, 10, 0];

function personRow(index: number, format: 0 | 1): Uint8Array {
  const values = person(index).map((value, column) => {
    const length = BINARY_LENGTHS[column] ?? 0;
    return format === 1 && length > 0 ? Buffer.alloc(length, index) : Buffer.from(value ?? '');
  });
  return encodeDataRow({ values });
}

/** Messages one behind the other, cut where a socket would. */
function chunksOf(message: (index: number) => Uint8Array): Buffer[] {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let index = 1; length < CHUNK * CHUNKS; index += 1) {
    const part = message(index);
    parts.push(part);
    length += part.length;
  }
  const all = Buffer.concat(parts);
  return Array.from({ length: CHUNKS }, (_, index) =>
    Buffer.from(all.subarray(index * CHUNK, (index + 1) * CHUNK)),
  );
}

interface Rewriter {
  rewrite(message: Uint8Array): Uint8Array | undefined;
  rewriteRows?(
    chunk: Uint8Array,
    from: number,
    maxRows: number,
  ): { readonly end: number; readonly pieces: readonly Uint8Array[] };
}

function through(
  chunks: readonly Buffer[],
  handling: Handling,
  make: () => Rewriter,
): () => number {
  return () => {
    const rewriter = make();
    let out = 0;
    const scanner = new MessageScanner({
      decide: () => handling,
      maxWholeLength: MAX_MESSAGE,
      run: (bytes) => {
        const done = rewriter.rewriteRows?.(bytes, 0, Number.POSITIVE_INFINITY);
        for (const piece of done?.pieces ?? []) out += piece.length;
        return done?.end ?? 0;
      },
    });
    for (const chunk of chunks) {
      scanner.push(chunk, (item) => {
        const bytes = item.kind === 'pass' ? item.bytes : rewriter.rewrite(item.bytes);
        out += bytes?.length ?? 0;
      });
    }
    return out;
  };
}

function maskerOptions(
  columns: readonly ResultColumn[],
  detectors: readonly DetectorName[],
): ColumnMaskerOptions {
  return {
    columns,
    detectors: new Set(detectors),
    hashKey: new Uint8Array(32).fill(7),
    isText: () => false,
    decode: (bytes) => Buffer.from(bytes).toString(),
    isUtf8: true,
  };
}

const column = (typeOid: number, format: 0 | 1, mask: MaskKind | undefined): ResultColumn => ({
  typeOid,
  format,
  mask,
  derived: false,
});

function rowWork(title: string, chunks: readonly Buffer[], options: ColumnMaskerOptions): Work {
  return {
    title,
    chunks,
    old: through(chunks, 'whole', () => new OracleRowMasker(options)),
    now: through(chunks, 'run', () => new RowMasker(options)),
  };
}

function masksWork(format: 0 | 1): Work[] {
  const chunks = chunksOf((index) => personRow(index, format));
  const name = format === 1 ? 'binary' : 'text';
  const passing: Work = {
    title: `8 columns, ${name}: pass`,
    chunks,
    old: undefined,
    now: through(chunks, 'pass', () => ({ rewrite: (message) => message })),
  };
  const masks: readonly (readonly [string, MaskKind, MaskKind])[] = [
    ['partial and full', 'partial', 'full'],
    ['full', 'full', 'full'],
    ['partial', 'partial', 'partial'],
    ['null', 'null', 'null'],
    ['hash', 'hash', 'hash'],
  ];
  return [
    passing,
    ...masks.map(([kind, email, card]) => {
      const columns = PERSON_TYPES.map((typeOid, index) =>
        column(typeOid, format, index === 2 ? email : index === 3 ? card : undefined),
      );
      return rowWork(`8 columns, ${name}: 2 masked, ${kind}`, chunks, maskerOptions(columns, []));
    }),
  ];
}

function detectorWork(): Work[] {
  return Object.entries(TEXTS).map(([name, make]) => {
    const isJson = name.startsWith('JSON');
    const chunks = chunksOf(() => encodeDataRow({ values: [Buffer.from(make())] }));
    const options = maskerOptions([column(isJson ? TYPE.jsonb : TYPE.text, 0, undefined)], ALL);
    return rowWork(`detectors: ${name}`, chunks, options);
  });
}

function copyWork(format: 'text' | 'csv' | 'binary'): Work {
  const line = (index: number): Uint8Array => {
    if (format === 'binary') {
      const row = personRow(index, 1);
      return encodeCopyData({ data: row.subarray(5) });
    }
    const values = person(index);
    return encodeCopyData({ data: Buffer.from(`${values.join(format === 'csv' ? ',' : '\t')}\n`) });
  };
  const head = Buffer.from(`PGCOPY\n\xff\r\n\0${'\0'.repeat(8)}`, 'latin1');
  const chunks = chunksOf((index) =>
    format === 'binary' && index === 1 ? encodeCopyData({ data: head }) : line(index),
  );
  const columns = PERSON_TYPES.map((typeOid, index) =>
    column(
      typeOid,
      format === 'binary' ? 1 : 0,
      index === 2 ? 'partial' : index === 3 ? 'full' : undefined,
    ),
  );
  const options = maskerOptions(columns, []);
  const lines = {
    format,
    columns: columns.length,
    delimiter: format === 'csv' ? ',' : '\t',
    quote: '"',
    escape: '"',
    serverNull: Buffer.from(format === 'csv' ? '' : '\\N'),
    clientNull: Buffer.from(format === 'csv' ? '' : '\\N'),
    hasHeader: false,
    forceQuote: [],
  };
  const common = {
    maxRows: Number.POSITIVE_INFINITY,
    maxRowBytes: MAX_MESSAGE,
    tooLarge: () => new RangeError('too large'),
  };
  return {
    title: `COPY ${format}, 2 of 8 masked`,
    chunks,
    old: through(
      chunks,
      'whole',
      () =>
        new OracleCopyRewriter({
          ...common,
          scanner: oracleCopyScanner(lines),
          masker: new OracleColumnMasker(options),
        }),
    ),
    now: through(
      chunks,
      'run',
      () =>
        new CopyRewriter({
          ...common,
          scanner: createCopyScanner(lines),
          masker: new ColumnMasker(options),
        }),
    ),
  };
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** MB per second of CPU time. */
function rate(run: () => number, bytes: number): number {
  let best = 0;
  run();
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    const began = cpuMs();
    let times = 0;
    let ms = 0;
    while (ms < Number(flags.ms) / Number(flags.rounds)) {
      run();
      times += 1;
      ms = cpuMs() - began;
    }
    best = Math.max(best, (times * bytes) / ms / 1000);
  }
  return best;
}

process.stdout.write(
  '| work | rows, MB/s | chunks, MB/s | s/GB | times |\n|---|---:|---:|---:|---:|\n',
);
const works = [
  ...masksWork(0),
  ...masksWork(1),
  copyWork('text'),
  copyWork('csv'),
  copyWork('binary'),
  ...detectorWork(),
];
for (const { title, chunks, old, now } of works.filter((work) => work.title.includes(flags.only))) {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (old !== undefined && old() !== now()) throw new Error(`${title}: they do not give the same`);
  const before = old === undefined ? undefined : rate(old, bytes);
  const after = rate(now, bytes);
  const times = before === undefined ? '–' : (after / before).toFixed(1);
  process.stdout.write(
    `| ${title} | ${before?.toFixed(0) ?? '–'} | ${after.toFixed(0)} | ${(1000 / after).toFixed(2)} | ${times} |\n`,
  );
}
