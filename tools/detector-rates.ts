/**
 * How often the detectors take harmless values for protected ones: prints the table of
 * docs/policy.md, "Detectors". Seeded, so that it comes out the same each time.
 *
 *   node tools/detector-rates.ts [--count 100000] [--seed 7]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { detectText } from '../src/masking/detect-text.ts';
import type { DetectorName } from '../src/policy/types.ts';

const { values } = parseArgs({
  options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: '7' } },
});
const count = Number(values.count);
const ALL: ReadonlySet<DetectorName> = new Set<DetectorName>([
  ...(['card', 'ssn', 'email', 'iban', 'jwt', 'cloud-key', 'vcs-token', 'private-key'] as const),
  'url-password',
]);

let state = Number(values.seed) >>> 0;
/** mulberry32. */
function random(): number {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const below = (limit: number): number => Math.floor(random() * limit);
const digits = (length: number): string => Array.from({ length }, () => String(below(10))).join('');
const hex = (length: number): string =>
  Array.from({ length }, () => below(16).toString(16)).join('');
const time = (): Date => new Date(Date.UTC(2015, 0, 1) + random() * 10 * 365 * 86_400_000);

/** By the title of the row in the table. */
const KINDS: Readonly<Record<string, (index: number) => string>> = {
  'decimals, up to 17 digits behind the point': () => `${below(1000)}.${digits(1 + below(17))}`,
  'floats as PostgreSQL prints them': () => String((random() - 0.5) * 10 ** below(12)),
  'amounts with cents in a list': () =>
    Array.from({ length: 5 }, () => (random() * 1e6).toFixed(2)).join(','),
  'timestamps, ISO 8601 with microseconds': () =>
    `${time().toISOString().slice(0, -1)}${digits(3)}+00:00`,
  'timestamps, seconds to nanoseconds since 1970': (index) =>
    `${time().getTime()}${digits(6)}`.slice(0, [10, 13, 16, 19][index % 4]),
  'sequential ids': (index) => String(1_000_000 + index),
  'sequential ids of 16 digits from 10^15': (index) => String(10 ** 15 + index),
  'snowflake ids (18 and 19 digits)': () =>
    String((BigInt(time().getTime() - 1_288_834_974_657) << 22n) + BigInt(below(1 << 22))),
  UUIDs: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
  'hashes (MD5, SHA-1, SHA-256)': (index) =>
    createHash(['md5', 'sha1', 'sha256'][index % 3] ?? 'md5')
      .update(digits(8))
      .digest('hex'),
  'telephone numbers, international': () => `+${1 + below(99)} ${digits(3)} ${digits(7)}`,
  'telephone numbers without plus and spaces': () => `${1 + below(99)}${digits(9 + below(3))}`,
  'IP addresses with a port': () =>
    `${below(256)}.${below(256)}.${below(256)}.${below(256)}:${below(65_536)}`,
  'random numbers of 16 digits': () => digits(16),
  'random numbers of 19 digits': () => digits(19),
};

process.stdout.write('| values | taken for | rate |\n|---|---|---|\n');
for (const [title, make] of Object.entries(KINDS)) {
  const hits = new Map<DetectorName, number>();
  for (let index = 0; index < count; index += 1) {
    for (const name of new Set(detectText(make(index), ALL).map(({ detector }) => detector))) {
      hits.set(name, (hits.get(name) ?? 0) + 1);
    }
  }
  const names = [...hits.keys()].join(', ') || '–';
  const most = Math.max(0, ...hits.values());
  process.stdout.write(`| ${title} | ${names} | ${rate(most)} |\n`);
}

function rate(found: number): string {
  return found === 0 ? `none of ${count}` : `${((found / count) * 100).toPrecision(2)} %`;
}
