import { describe, expect, test } from 'vitest';
import { HitCandidates } from '../../src/masking/candidates/hit-candidates.ts';
import { detectText, withoutHits } from '../../src/masking/detect-text.ts';
import type { DetectorName } from '../../src/policy/types.ts';

const mayHoldHit = (bytes: Uint8Array): boolean =>
  new HitCandidates().inText(bytes, 0, bytes.length) !== 0;

const ALL: ReadonlySet<DetectorName> = new Set<DetectorName>([
  'card',
  'ssn',
  'email',
  'iban',
  'jwt',
  'cloud-key',
  'vcs-token',
  'private-key',
  'url-password',
]);

function clean(text: string): string | undefined {
  const bytes = new TextEncoder().encode(text);
  const found = withoutHits(text, ALL, new Map());
  // The prefilter may let nothing slip that the detectors would find.
  if (found !== undefined) expect(mayHoldHit(bytes)).toBe(true);
  return found;
}

// Put together at run time, so that scanners of source code do not take them for real ones.
const awsKey = `AKIA${'IOSFODNN7EXAMPLE'}`;
const awsSecret = `wJalrXUtnFEMI/K7MDENG/${'bPxRfiCYEXAMPLEKEY'}`;
const gitHubToken = `ghp${'_'}${'a1B2c3D4e5F6'.repeat(3)}`;
const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhYmMifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';

describe('hits', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['a plain card number', 'paid 4012888888881881 today', 'paid [card] today'],
    ['a card in groups', 'pan=4012-8888-8888-1881;x', 'pan=[card];x'],
    ['a card before its expiry date', '4012 8888 8888 1881 09/27', '[card] 09/27'],
    ['an Amex card', 'amex 3782 822463 10005.', 'amex [card].'],
    ['a card with no-break spaces', '4012\u00a08888\u00a08888\u00a01881', '[card]'],
    ['a card with zero-width spaces', '4012\u200b8888\u200b8888\u200b1881', '[card]'],
    ['a card in fullwidth digits', '４０１２８８８８８８８８１８８１', '[card]'],
    ['a card in Arabic digits', 'رقم ٤٠١٢٨٨٨٨٨٨٨٨١٨٨١', 'رقم [card]'],
    ['a card over several lines', 'a 4012\n88888888\n1881 b', 'a [card] b'],
    ['a card with dots', '4012.8888.8888.1881', '[card]'],
    ['a card between tags', '<b>4012</b><i>8888</i>88881881', '<b>[card]'],
    ['a card after letters', 'ccccc4012888888881881', 'ccccc[card]'],
    ['a card with a fraction of zeros', '4012888888881881.00', '[card].00'],
    ['an SSN', 'my social is 321-54-9876 thanks', 'my social is [ssn] thanks'],
    ['an SSN with spaces where a word announces it', 'SSN 321 54 9876', 'SSN [ssn]'],
    ['an address with a tag', 'to Dana.Otter+vip@mail.corp.example asap', 'to [email] asap'],
    ['an address in angle brackets', '<x@y.co>', '<[email]>'],
    ['an address in another script', 'schreib jürgen@müller.example', 'schreib [email]'],
    ['an IBAN', 'IBAN DE89370400440532013000!', 'IBAN [iban]!'],
    ['an IBAN in groups', 'GB29 NWBK 6016 1331 9268 19 and', '[iban] and'],
    ['a JWT', `Bearer ${jwt}`, 'Bearer [jwt]'],
    ['an AWS key', `id=${awsKey} x`, 'id=[cloud-key] x'],
    ['an AWS secret', `aws_secret_access_key=${awsSecret}`, 'aws_secret_access_key=[cloud-key]'],
    ['a GitHub token', `${gitHubToken} pushed`, '[vcs-token] pushed'],
    [
      'a password in a URL',
      'postgres://svc:pw0rd@db.internal:5432/app',
      'postgres://svc:[url-password]@db.internal:5432/app',
    ],
    [
      'a private key',
      `k -----BEGIN PRIVATE ${'KEY'}-----\nMIIE\n-----END PRIVATE ${'KEY'}----- z`,
      'k [private-key] z',
    ],
    [
      'a private key with its end cut off',
      `-----BEGIN RSA PRIVATE ${'KEY'}-----\nMIIE`,
      '[private-key]',
    ],
    ['several in one text', 'a@b.example 321-54-9876', '[email] [ssn]'],
  ];
  test.each(cases)('%s is taken out', (_title, text, expected) => {
    expect(clean(text)).toBe(expected);
  });
});

/** Each with the value in the middle: what stands beside it hides nothing. */
const BESIDE = [
  '(X)',
  '"X"',
  "'X'",
  '[X]',
  '{X}',
  '<X>',
  'card:X,exp',
  'X.',
  'X,',
  'X;',
  'X!',
  '#X',
  '*X*',
  '_X_',
  'no_X_x',
  '=X=',
  'a=X&b=1',
  '?n=X',
  '/pay/X/x',
  '/pay/X',
  'X|1',
  '1|X|2',
  'X:12',
  '12:X',
  '1,X,2',
  '1;X;2',
  '2026-01-01,X,9.99',
  '(1,X,"x")',
  '{1,X,NULL}',
  '{"n":X,"m":1}',
  '{"n":[1,X,2]}',
  'n X.Next',
  'x.X',
  '...X...',
  'n%3DX%26',
  '%22X%22',
  '\\tX\\n',
  '\\"X\\"',
  '\\u0022X\\u0022',
  '\\x22X',
  '\\042X',
  '&quot;X&quot;',
  '&#34;X&#34;',
];

describe('beside punctuation and escapes', () => {
  const values: readonly (readonly [DetectorName, string])[] = [
    ['card', '4539148803436467'],
    ['card', '4539 1488 0343 6467'],
    ['card', '4539-1488-0343-6467'],
    ['ssn', '321-54-9876'],
    ['iban', 'DE89370400440532013000'],
    ['email', 'x@y.co'],
    ['cloud-key', awsKey],
  ];
  test.each(values)('%s %s', (name, value) => {
    for (const shape of BESIDE) {
      const found = clean(shape.replace('X', value));
      expect(found, shape).toContain(`[${name}]`);
      expect(found, shape).not.toContain(value);
    }
  });

  test('a JWT behind an underscore', () => {
    expect(clean(`token_${jwt} x`)).toBe('token_[jwt] x');
    expect(clean(`%22${jwt}%22`)).toBe('%22[jwt]%22');
  });

  test('all of a list', () => {
    expect(clean('4539148803436467,4012888888881881;4539148803436467')).toBe(
      '[card],[card];[card]',
    );
    expect(clean('4539148803436467,12/27')).toBe('[card],12/27');
    expect(clean('4539148803436467,123')).toBe('[card],123');
  });

  test('a value whose separators are escaped', () => {
    expect(clean('n=4539%201488%200343%206467&m')).toBe('n=[card]&m');
    expect(clean('4539+1488+0343+6467')).toBe('[card]');
    expect(clean('4539·1488·0343·6467 4539•1488•0343•6467')).toBe('[card] [card]');
    expect(clean('\\3514539148803436467')).toBe('\\351[card]');
    expect(clean('to ann%40example.com now')).toBe('to [email] now');
    expect(clean('ann\\u0040example.com')).toBe('[email]');
    expect(clean('\\u0034539148803436467')).toBe('[card]');
    expect(clean('&#52;539148803436467')).toBe('[card]');
    expect(clean('{4539,1488,"0343",6467}')).toBe('{[card]}');
    expect(clean('("4539","1488","0343","6467")')).toBe('("[card]")');
  });
});

describe('no hits', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['an order number that fails Luhn', '4012888888881882'],
    ['microseconds since 1970', '1731628800123456'],
    ['the first integer beyond a double', '9007199254740993'],
    ['a UUID', '550e8400-e29b-41d4-a716-446655440000'],
    ['a timestamp', '2024-11-15 23:59:45.123456+00'],
    ['version numbers', 'PostgreSQL 17.10 build 10.0.19045.4170'],
    ['a SHA-1 with a card inside', '9f401288888888188112abcd45ef0123456789ab'],
    [
      'an SHA-256 with a card between letters',
      `${'a'.repeat(24)}4012888888881881${'b'.repeat(24)}`,
    ],
    ['a number of 20 digits with a card inside', '20401288888888188199'],
    ['an address with a port', '192.168.100.200:54321'],
    ['an impossible SSN area', '000-12-3456'],
    ['a telephone number', '+1-202-555-0143'],
    ['a semantic version', 'v1.2.3-rc.4+build.20241115'],
    ['coordinates', '{"lat":45.3914880343,"lon":-64.6700000001}'],
    ['a fraction whose digits pass', '0.4012888888881881'],
    ['a fraction in a list', '7,0.4539148803436467,1'],
    ['a fraction without a zero in front', '(.4539148803436467)'],
    ['an amount with cents', '4539148803436467.25'],
    ['an amount with cents in a list', '[1,4539148803436467.25,2]'],
    ['a number in scientific notation', '4.539148803436467e15'],
    ['a telephone number without a plus', '4915112345671'],
    ['an escaped fraction', '%220.4539148803436467%22'],
    ['a user without a top-level domain', 'user@localhost'],
    ['an IBAN with wrong check digits', 'DE00370400440532013000'],
    ['zeros', '0000000000000000'],
    ['prices', '1,299.00 EUR $4,539.14 4539148803.43'],
    ['numbers with spaces', '100 20 3000'],
    ['a URL without a password', 'https://example.com/a:b@c'],
    ['a package', 'left-pad@1.3.0'],
    ['an image for dense screens', '/img/icon@2x.png, logo@3X.jpeg'],
    ['base64 that starts like a JWT', 'eyJub3RoaW5nIjoxfQ'],
  ];
  test.each(cases)('%s is left alone', (_title, text) => {
    expect(clean(text)).toBeUndefined();
  });
});

test('overlapping hits are taken out together', () => {
  const hits = detectText('x@4012888888881881.example', ALL);
  expect(hits).toHaveLength(1);
});

test('a class that is not asked for is left alone', () => {
  expect(withoutHits('a@b.example', new Set<DetectorName>(['card']), new Map())).toBeUndefined();
});

test('hits are counted by class', () => {
  const counts = new Map();
  withoutHits('a@b.example c@d.example 321-54-9876', ALL, counts);
  expect([...counts]).toEqual([
    ['email', 2],
    ['ssn', 1],
  ]);
});

test('the cost is linear for texts made to be slow', () => {
  const nasty = [
    '@',
    '://',
    '4 ',
    'a'.repeat(64).concat('@'),
    'eyJ',
    '-----BEGIN PRIVATE',
    'secret ',
    '_eyJ',
    '%34',
    '\\u0034,',
    '4539,',
    '.4539148803436466',
    'a%40',
    'AKIA&',
    '\\x4142434445464',
    '\\x40',
  ];
  // No clock here: a quadratic search would run into the test's own time limit.
  for (const unit of nasty) detectText(unit.repeat(Math.ceil(2_000_000 / unit.length)), ALL);
  // As many hits as escapes: each hit asks where it stands in the escaped text.
  expect(detectText('a%40b.co '.repeat(500_000), ALL)).toHaveLength(500_000);
});
