/** Values for detectors, made at random from what they look for, what hides it and what resembles it. */

import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import { IBAN_LENGTHS } from '../../../../src/masking/detectors/iban.ts';

/** mulberry32: numbers from 0 up to 1. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface MadeValue {
  readonly value: Buffer;
  readonly typeOid: number;
  readonly format: 0 | 1;
  readonly isUtf8: boolean;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const ALPHANUMERIC = `${LETTERS}0123456789`;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

const CARD_PREFIXES: readonly (readonly [string, number])[] = [
  ...([
    ['4', 13],
    ['49', 13],
    ['43', 13],
    ['4', 16],
    ['4', 19],
    ['34', 15],
    ['37', 15],
  ] as const),
  ...([
    ['51', 16],
    ['55', 16],
    ['2221', 16],
    ['2720', 16],
    ['300', 14],
    ['36', 14],
  ] as const),
  ...([
    ['3528', 16],
    ['3589', 19],
    ['60', 17],
    ['62', 18],
    ['65', 19],
    ['644', 16],
  ] as const),
  ...([
    ['2200', 16],
    ['5018', 13],
    ['6304', 14],
    ['6763', 19],
    ['9', 16],
    ['1', 13],
  ] as const),
];
const SEPARATORS = [
  ...[
    ' ',
    '-',
    '_',
    '\t',
    '\n',
    '\u00a0',
    '\u00ad',
    '\u200b',
    '\u00b7',
    '\u2010',
    '\u2022',
    '\u2212',
    '\ufeff',
    '\u3000',
  ],
  ...[
    '.',
    '/',
    ':',
    '|',
    '*',
    '+',
    '#',
    ',',
    ';',
    '","',
    "', '",
    '\\",\\"',
    '</td><td>',
    '<b>',
    '<h1>',
  ],
  ...[
    '  ',
    ' - ',
    '\u200b\u200b',
    '   ',
    '    ',
    '--',
    '\u2007',
    '\u202f',
    ', ',
    '',
    'x',
    '\u00e9',
    '..',
  ],
];
const AROUND = [
  ...[
    '',
    ' ',
    'x',
    '"',
    "'",
    '(',
    ')',
    '[',
    '{',
    '<',
    '>',
    '.',
    ',',
    ';',
    ':',
    '=',
    '-',
    '_',
    '+',
    '/',
  ],
  ...[
    '0',
    '1.',
    '.5',
    '.00',
    'a',
    'é',
    '漢',
    '\u0661',
    '٣',
    '💳',
    '\\n',
    '%20',
    '&',
    '&amp;',
    '\\',
    '%',
  ],
  ...[
    'ssn ',
    'aws ',
    'secret: ',
    'http://',
    'a:b@',
    '\u0130',
    'ſ',
    '\u212a',
    '\\xa',
    '\\xE9',
    '\n',
    '\r\n',
    '\0',
    '\x7f',
  ],
];

export class Maker {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  value(): MadeValue {
    const parts = Array.from({ length: 1 + this.#below(5) }, () => this.#part());
    let text = parts.join(this.#chance(0.5) ? '' : this.#pick(AROUND));
    for (let round = this.#below(3); round > 0; round -= 1) text = this.#escaped(text);
    const isUtf8 = this.#chance(0.7);
    return { ...this.#wrapped(text), isUtf8 };
  }

  #part(): string {
    const core = this.#chance(0.7) ? this.#hit() : this.#noise();
    const shown = this.#chance(0.15) ? this.#damaged(core) : core;
    return this.#pick(AROUND) + shown + this.#pick(AROUND);
  }

  #hit(): string {
    switch (this.#below(14)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#card();
      case 4:
        return this.#ssn();
      case 5:
        return this.#email();
      case 6:
      case 7:
        return this.#iban();
      case 8:
        return this.#jwt();
      case 9:
      case 10:
        return this.#cloudKey();
      case 11:
        return this.#vcsToken();
      case 12:
        return this.#privateKey();
      default:
        return `${this.#pick(['http', 'a.b+c', '', 'é'])}://${this.#of(ALPHANUMERIC, 4)}${this.#pick([':', '', '@', ' :'])}${this.#of(ALPHANUMERIC, 5)}@${this.#email()}`;
    }
  }

  #card(): string {
    const [prefix, length] = this.#pick(CARD_PREFIXES);
    let digits = prefix;
    while (digits.length < length - 1) digits += this.#below(10);
    digits += this.#chance(0.9) ? luhnDigit(digits) : this.#below(10);
    const groups = this.#pick([
      ...[[19], [19], [4, 4, 4, 4, 3], [4, 4, 4, 4], [4, 6, 5], [4, 6, 4], [4, 4, 4, 1], [4, 4, 5]],
      ...[
        [4, 12],
        [5, 5, 9],
        [3, 13],
        [6, 3, 3, 3, 4],
        [2, 17],
        [13, 6],
        [4, 3, 3, 3, 3, 3],
      ],
    ]);
    const separator = this.#pick(SEPARATORS);
    let result = '';
    let at = 0;
    for (const size of groups) {
      if (at >= digits.length) break;
      if (at > 0) result += this.#chance(0.9) ? separator : this.#pick(SEPARATORS);
      result += digits.slice(at, at + size);
      at += size;
    }
    result += digits.slice(at);
    return this.#chance(0.1) ? this.#inScript(result) : result;
  }

  /** Some or all of its digits in another script. */
  #inScript(text: string): string {
    const zero = this.#pick([
      0x660, 0x6f0, 0x966, 0xe50, 0xff10, 0x1d7ce, 0x1d7f6, 0x104a0, 0x1fbf0,
    ]);
    const most = this.#chance(0.5) ? 1 : 0.3;
    return text.replace(/[0-9]/g, (digit) =>
      this.#chance(most) ? String.fromCodePoint(zero + Number(digit)) : digit,
    );
  }

  #ssn(): string {
    const separator = this.#pick(SEPARATORS);
    const other = this.#chance(0.9) ? separator : this.#pick(SEPARATORS);
    const text = `${this.#of('0123456789', 3)}${separator}${this.#of('0123456789', 2)}${other}${this.#of('0123456789', 4)}`;
    const cue = this.#chance(0.4) ? this.#pick(['ssn ', 'social: ', 'TIN=']) : '';
    return cue + (this.#chance(0.1) ? this.#inScript(text) : text);
  }

  #email(): string {
    const local = this.#pick(['a', 'ann.lee', 'x+y', "o'b", 'jürgen', '漢', '_', '-', '']);
    const host = this.#pick(['b', 'mail.corp', '1.2', 'müller', 'x-y', '-x', '1', 'a..b', '漢字']);
    return `${local}@${host}.${this.#pick(['co', 'example', 'c', 'xn--p1ai', '12', 'рф', '', 'museum'])}`;
  }

  #iban(): string {
    const [country, length] = this.#pick(Object.entries(IBAN_LENGTHS));
    const tail = this.#of(this.#chance(0.7) ? '0123456789' : '0123456789ABCXYZ', length - 4);
    const account = `${country}${this.#chance(0.9) ? checkDigits(country, tail) : '00'}${tail}`;
    const separator = this.#pick([' ', '-', '\u00a0', '\u200b', '  ', '', '.', '\u2007', '\u202f']);
    const groups = this.#chance(0.5) ? account : (account.match(/.{1,4}/g) ?? []).join(separator);
    const spaced = this.#chance(0.2) ? `${country}${separator}${account.slice(2)}` : groups;
    return this.#chance(0.3) ? spaced.toLowerCase() : spaced;
  }

  #jwt(): string {
    const header = Buffer.from(
      this.#pick(['{"alg":"HS256"}', '{"typ":"JWT","kid":"1"}', '{"a":1}']),
    );
    const parts = [
      header.toString('base64url'),
      this.#of(ALPHANUMERIC, this.#below(12)),
      'sig_x-1',
    ];
    return `${this.#pick(['', 'token_', 'x', '-', 'eyJ_'])}${parts.slice(0, 2 + this.#below(2)).join('.')}`;
  }

  #cloudKey(): string {
    const word = this.#pick(['aws_secret_access_key', 'SECRET', 'secretKey', 'awsToken x', 'sec']);
    const sign = this.#pick([':', '=', ' => ', '": "', "' = '", '\u00a0:\u2003', '://', ':\n\n']);
    return this.#pick([
      `${this.#pick(['AKIA', 'ASIA', 'ABIA', 'ACCA', 'AXIA'])}${this.#of(BASE32, 16 + this.#below(2))}`,
      `${word}${sign}${this.#of(`${ALPHANUMERIC}/+`, 39 + this.#below(3))}`,
      `AIza${this.#of(`${ALPHANUMERIC}_-`, 35)}`,
      `ya29.${this.#of(ALPHANUMERIC, 18 + this.#below(5))}`,
      `AccountKey=${this.#of(`${ALPHANUMERIC}/+`, 86)}==`,
      `${this.#pick(['sk', 'rk', 'pk'])}_live_${this.#of(ALPHANUMERIC, 15 + this.#below(4))}`,
      `xox${this.#pick(['a', 'b', 'e', 'o', 'p', 'r', 's', 'z'])}-${this.#of(ALPHANUMERIC, 9 + this.#below(3))}`,
      `sk-${this.#pick(['', 'proj-', 'ant-'])}${this.#of(ALPHANUMERIC, 31 + this.#below(3))}`,
    ]);
  }

  #vcsToken(): string {
    return this.#pick([
      `gh${this.#pick(['o', 'p', 'r', 's', 'u', 'x'])}_${this.#of(ALPHANUMERIC, 29 + this.#below(3))}`,
      `github_pat_${this.#of(`${ALPHANUMERIC}_`, 39 + this.#below(3))}`,
      `gl${this.#pick(['pat', 'dt', 'rt', 'cbt', 'ptt', 'soat', 'x'])}-${this.#of(`${ALPHANUMERIC}_.-`, 19 + this.#below(3))}`,
      `npm_${this.#of(ALPHANUMERIC, 35 + this.#below(3))}`,
      `pypi-AgE${this.#of(ALPHANUMERIC, 39 + this.#below(3))}`,
    ]);
  }

  #privateKey(): string {
    const label = this.#pick([
      'RSA PRIVATE KEY',
      'PRIVATE KEY',
      'PGP PRIVATE KEY BLOCK',
      'CERTIFICATE',
    ]);
    const end = this.#chance(0.7) ? `-----END ${label}-----` : '';
    return `${this.#pick(['', '-', '---'])}-----BEGIN ${label}-----\nMIIE${this.#of(ALPHANUMERIC, 9)}\n${end}`;
  }

  #noise(): string {
    const hex = (length: number): string => this.#of('0123456789abcdef', length);
    return this.#pick([
      hex(this.#pick([8, 16, 32, 40, 64])),
      `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`,
      `2026-${10 + this.#below(3)}-1${this.#below(10)}T0${this.#below(10)}:33:12.${this.#of('0123456789', 6)}+00:00 GET /x?id=${this.#of('0123456789', 9)} 200 ${this.#below(99_999)}`,
      `10.0.${this.#below(255)}.${this.#below(255)}:5432`,
      `${this.#below(1000)}.${this.#of('0123456789', 17)}`,
      this.#of('0123456789', this.#below(24)),
      this.#of(LETTERS, this.#below(20)),
      this.#of('0123456789 ', 20),
      this.#of('0123456789-:. ,', 24),
      this.#of(' \n', 5),
    ]);
  }

  #damaged(text: string): string {
    const at = this.#below(text.length + 1);
    const other = this.#pick([...AROUND, ...SEPARATORS]);
    return text.slice(0, at) + other + text.slice(at + this.#below(2));
  }

  /** Every character or a few of them, as URLs, strings and XML have them. */
  #escaped(text: string): string {
    const share = this.#pick([0, 0.05, 0.3, 1]);
    const kind = this.#below(8);
    return [...text]
      .map((character) => {
        if (!this.#chance(share)) return character;
        const code = character.charCodeAt(0);
        const hex = code.toString(16);
        if (kind === 0 && code < 128) return `%${hex.padStart(2, '0')}`;
        if (kind === 1) return unicodeEscapes(character);
        if (kind === 2 && code < 256) return `\\x${hex.padStart(2, '0')}`;
        if (kind === 3 && code < 256) return `\\${code.toString(8).padStart(3, '0')}`;
        if (kind === 4) return `&#${code};`;
        if (kind === 5) return `&#X${hex};`;
        if (kind === 6)
          return character === '\u00a0' ? '%C2%A0' : unicodeEscapes(character).toUpperCase();
        return (
          { '"': '\\"', '\n': '\\n', '&': '&amp;', '<': '&LT;', "'": "\\'" }[character] ?? character
        );
      })
      .join('');
  }

  #wrapped(text: string): Omit<MadeValue, 'isUtf8'> {
    const utf8 = this.#bytesOf(text);
    switch (this.#below(12)) {
      case 0:
        return {
          value: Buffer.from(JSON.stringify({ a: text, n: [1, text] })),
          typeOid: TYPE.json,
          format: 0,
        };
      case 1:
        return {
          value: Buffer.from(
            `{"a":${asciiJson(text)}, "${this.#of(ALPHANUMERIC, 3)}": ${this.#card()}}`,
          ),
          typeOid: TYPE.jsonb,
          format: 0,
        };
      case 2:
        return {
          value: Buffer.from(`\x01[${JSON.stringify(text)},${this.#of('0123456789', 16)}]`),
          typeOid: TYPE.jsonb,
          format: 1,
        };
      case 3:
        // No JSON, though the type says so.
        return { value: utf8, typeOid: TYPE.json, format: this.#chance(0.5) ? 0 : 1 };
      case 4:
        return {
          value: Buffer.from(`\\x${utf8.toString('hex')}${this.#chance(0.1) ? 'zz00' : ''}`),
          typeOid: TYPE.bytea,
          format: 0,
        };
      case 5:
        return { value: utf8, typeOid: TYPE.bytea, format: this.#chance(0.5) ? 0 : 1 };
      case 6: {
        const hex = `\\x${utf8.toString('hex')}`;
        const inner = this.#pick([text, hex, hex.replace('\\', '\\\\')]);
        return { value: Buffer.from(`{1,"${inner}",NULL}`), typeOid: 1009, format: 0 };
      }
      case 7:
        return {
          value: arrayOf(utf8, this.#pick([TYPE.text, TYPE.bytea, TYPE.json])),
          typeOid: 1009,
          format: 1,
        };
      case 8:
        return { value: utf8, typeOid: 3904, format: 1 };
      case 9:
        return {
          value: Buffer.from(
            `{1,${this.#card().replace(/[^0-9]/g, '')},-${this.#of('0123456789', 17)}.00,4.2e15}`,
          ),
          typeOid: this.#pick([1016, 1022, 1231]),
          format: 0,
        };
      default:
        return {
          value: utf8,
          typeOid: this.#pick([TYPE.text, TYPE.xml, TYPE.record, 99_999]),
          format: 0,
        };
    }
  }

  /** Mostly UTF-8; else bytes of another encoding, or broken ones. */
  #bytesOf(text: string): Buffer {
    if (this.#chance(0.8)) return Buffer.from(text);
    const bytes = Buffer.from(text, this.#chance(0.5) ? 'latin1' : 'utf8');
    for (let count = this.#below(3); count > 0 && bytes.length > 0; count -= 1) {
      bytes[this.#below(bytes.length)] = this.#pick([
        0x80, 0x81, 0xa0, 0xad, 0xc2, 0xd9, 0xe0, 0xef, 0xf0, 0xff, 0x30, 0x5c,
      ]);
    }
    // Characters of GB18030 that have digits in them.
    return this.#chance(0.2)
      ? Buffer.concat([bytes, Buffer.from([0x81, 0x34, 0x85, 0x35]), bytes])
      : bytes;
  }

  #of(characters: string, length: number): string {
    let result = '';
    for (let index = 0; index < length; index += 1)
      result += characters[this.#below(characters.length)];
    return result;
  }

  #pick<T>(values: readonly T[]): T {
    const value = values[this.#below(values.length)];
    if (value === undefined) throw new RangeError('nothing to pick from');
    return value;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}

function luhnDigit(digits: string): string {
  for (let last = 0; last < 10; last += 1) {
    const sum = [...`${digits}${last}`].toReversed().reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    if (sum % 10 === 0) return String(last);
  }
  throw new RangeError('no digit fits');
}

function checkDigits(country: string, tail: string): string {
  const numbers = [...`${tail}${country}00`]
    .map((character) => Number.parseInt(character, 36))
    .join('');
  return String(98n - (BigInt(numbers) % 97n)).padStart(2, '0');
}

function unicodeEscapes(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

function asciiJson(text: string): string {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/g, unicodeEscapes);
}

/** A binary array of one dimension with one element. */
function arrayOf(element: Uint8Array, typeOid: number): Buffer {
  const head = Buffer.alloc(24);
  head.writeInt32BE(1, 0);
  head.writeInt32BE(typeOid, 8);
  head.writeInt32BE(1, 12);
  head.writeInt32BE(1, 16);
  head.writeInt32BE(element.length, 20);
  return Buffer.concat([head, element]);
}
