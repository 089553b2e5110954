import { describe, expect, test } from 'vitest';
import { TERMINAL_RESET, TerminalFilter } from '../../src/ui/text/terminal-filter.ts';

const encoder = new TextEncoder();

function filtered(input: string | Uint8Array): string {
  return new TerminalFilter().write(typeof input === 'string' ? encoder.encode(input) : input);
}

function filteredBytewise(bytes: Uint8Array): string {
  const filter = new TerminalFilter();
  return [...bytes].map((byte) => filter.write(Uint8Array.of(byte))).join('');
}

const KEPT: readonly (readonly [string, string])[] = [
  ['text in several scripts', 'naïve Ünïcode 日本語 👩‍💻'],
  ['tab, line feed, carriage return and backspace', 'a\tb\r\nc\bd'],
  ['colours', '\x1b[31mred\x1b[0m \x1b[1;38;5;200mpink\x1b[m'],
  ['24-bit colours with colons', '\x1b[38:2::1:2:3mx'],
  ['cursor movement', '\x1b[A\x1b[2B\x1b[3C\x1b[4D\x1b[E\x1b[F\x1b[7G\x1b[2;3H\x1b[4d\x1b[1;2f'],
  [
    'erasing, inserting, deleting, scrolling',
    '\x1b[2J\x1b[K\x1b[L\x1b[M\x1b[P\x1b[3X\x1b[@\x1b[S\x1b[T',
  ],
  ['scroll regions', '\x1b[1;20r'],
  ['a repeat of up to 1000', 'x\x1b[1000b'],
  ['autowrap, cursor and alternate screen modes', '\x1b[?7l\x1b[?25l\x1b[?1049h'],
  ['save and restore of the cursor', '\x1b7\x1b8'],
  ['a line down, a new line, a line up', '\x1bD\x1bE\x1bM'],
  ['line drawing', '\x1b(0lqk\x1b(B'],
];

/** [what, input, what may come out] */
const ATTACKS: readonly (readonly [string, string | Uint8Array, string])[] = [
  ['OSC 52 writes the clipboard', 'a\x1b]52;c;cm0gLXJmIH4=\x07b', 'ab'],
  ['OSC 8 plants a link', '\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\', 'click'],
  ['OSC 0 sets the title', '\x1b]0;rm -rf ~\x07x', 'x'],
  ['OSC 50 reports the font (CVE-2022-45063)', '\x1b]50;?\x07x', 'x'],
  ['OSC 9 and 777 raise notices', '\x1b]9;hi\x07\x1b]777;notify;a;b\x07x', 'x'],
  ['OSC 1337 transfers files', '\x1b]1337;File=name=YQ==:AAAA\x07x', 'x'],
  ['OSC 4 and 10 to 12 report colours', '\x1b]4;1;?\x07\x1b]10;?\x1b\\x', 'x'],
  ['the title report types into the shell (CVE-2003-0063)', '\x1b[21tx', 'x'],
  ['DECRQSS types into the shell (CVE-2008-2383)', '\x1bP$q"p\x1b\\x', 'x'],
  ['XTGETTCAP', '\x1bP+q544e\x1b\\x', 'x'],
  ['kitty graphics (APC)', '\x1b_Gf=100;AAAA\x1b\\x', 'x'],
  ['PM and SOS', '\x1b^secret\x1b\\\x1bXsecret\x1b\\x', 'x'],
  ['device attributes', '\x1b[c\x1b[>c\x1b[=c\x1b[0cx', 'x'],
  ['DECID', '\x1bZx', 'x'],
  ['status and cursor reports', '\x1b[5n\x1b[6n\x1b[?6nx', 'x'],
  ['mode reports', '\x1b[?25$px', 'x'],
  ['DECRQCRA checksums', '\x1b[1;1;1;1;1;1*yx', 'x'],
  ['mouse, focus and paste modes', '\x1b[?1000h\x1b[?1003h\x1b[?1004h\x1b[?2004h\x1b[?1006hx', 'x'],
  ['a mouse mode beside a harmless one', '\x1b[?25;1000hx', '\x1b[?25hx'],
  ['the terminal hard reset', '\x1bcx', 'x'],
  ['keyboard protocols', '\x1b[>1u\x1b[?ux\x1b[>4;2m', 'x'],
  ['highlight mouse tracking hides in T', '\x1b[1;2;3;4;5Tx', 'x'],
  ['sixel and graphics queries', '\x1b[?1;1;0Sx', 'x'],
  ['window operations', '\x1b[8;1;1t\x1b[3;0;0tx', 'x'],
  ['media copy to the printer', '\x1b[5i\x1b[?5ix', 'x'],
  ['soft reset and conformance level', '\x1b[!p\x1b[62"px', 'x'],
  ['ENQ, BEL, SO and SI', 'a\x05\x07\x0e\x0fb', 'ab'],
  ['a repeat of a million', 'x\x1b[1000000by', 'xy'],
  ['a repeat of 1001', 'x\x1b[1001by', 'xy'],
  ['a parameter above 9999', '\x1b[10000Bx', 'x'],
  ['33 parameters', `\x1b[${'1;'.repeat(32)}1mx`, 'x'],
  ['a sequence of 100 000 digits', `\x1b[${'1'.repeat(100_000)}mx`, 'x'],
  ['C1 as characters: CSI, OSC, DCS', '\u009b31ma\u009d52;c;QQ==\u0007b\u0090$qm\u009cc', 'abc'],
  ['C1 as characters: NEL, IND, RI and the rest', 'a\u0085\u0084\u008db', 'ab'],
  [
    'C1 as raw bytes',
    Uint8Array.of(0x61, 0x9b, 0x33, 0x31, 0x6d, 0x62, 0x9d, 0x30, 0x07, 0x63),
    'abc',
  ],
  ['bidi overrides and isolates', 'a\u202eb\u2066c\u200fd', 'a⟪U+202E⟫b⟪U+2066⟫c⟪U+200F⟫d'],
  ['other controls', 'a\0b\x0bc\x7fd', 'a⟪U+0000⟫b⟪U+000B⟫c⟪U+007F⟫d'],
  ['invisible tag characters', 'a\u{e0041}b', 'a⟪U+E0041⟫b'],
  [
    'malformed UTF-8',
    Uint8Array.of(0x61, 0xc3, 0x28, 0xff, 0xf0, 0x9f, 0x62),
    'a\ufffd(\ufffd\ufffdb',
  ],
  ['an overlong ESC', Uint8Array.of(0xc0, 0x9b, 0x5d, 0x61), '\ufffda'],
  ['a control inside a control sequence', '\x1b[3\n1mx', '\n\x1b[31mx'],
  ['ESC inside a control sequence', '\x1b[3\x1b]0;t\x07x', 'x'],
  ['CAN inside a string', '\x1b]52;c;QQ\x18x', 'x'],
  ['ESC inside a string begins a new sequence', '\x1b]0;t\x1b[21tx', 'x'],
  ['an intermediate where none belongs', '\x1b[ @\x1b[$r\x1b[1 qx', 'x'],
  ['private prefixes on kept finals', '\x1b[?J\x1b[?K\x1b[>T\x1b[?rx', 'x'],
  ['designating other character sets', '\x1b(A\x1b)0\x1b*0\x1b%Gx', 'x'],
];

describe('what passes', () => {
  for (const [what, input] of KEPT) {
    test(`${what} unchanged`, () => {
      expect(filtered(input)).toBe(input);
    });
  }
});

describe('what does not pass', () => {
  for (const [what, input, output] of ATTACKS) {
    test(what, () => {
      expect(filtered(input)).toBe(output);
    });
  }

  test('a DCS of 64 KiB is discarded, and text after the limit is text again', () => {
    const out = filtered(`a\x1bP${'x'.repeat(70 * 1024)}\x1b\\b`);
    expect(out.startsWith('ax')).toBe(true);
    expect(out.endsWith('xb')).toBe(true);
    expect(out.length).toBe(2 + 6 * 1024);
  });

  test('a string that never ends holds back at most 64 KiB', () => {
    const filter = new TerminalFilter();
    expect(filter.write(encoder.encode(`\x1b]0;${'y'.repeat(64 * 1024 - 2)}`))).toBe('');
    expect(filter.write(encoder.encode('visible again'))).toBe('visible again');
  });
});

describe('state between writes', () => {
  for (const [what, input] of [...KEPT, ...ATTACKS]) {
    test(`${what}: the same output however it is split`, () => {
      const bytes = typeof input === 'string' ? encoder.encode(input) : input;
      if (bytes.length > 4096) {
        expect(filteredBytewise(bytes)).toBe(filtered(bytes));
        return;
      }
      for (let at = 0; at <= bytes.length; at++) {
        const filter = new TerminalFilter();
        const out = filter.write(bytes.subarray(0, at)) + filter.write(bytes.subarray(at));
        expect(out).toBe(filtered(bytes));
      }
      expect(filteredBytewise(bytes)).toBe(filtered(bytes));
    });
  }

  test('the end drops what is unfinished and puts the terminal right', () => {
    const filter = new TerminalFilter();
    filter.write(encoder.encode('\x1b[?1049h\x1b]0;half a tit'));
    expect(filter.end()).toBe(TERMINAL_RESET);
    expect(filter.end()).toBe('\x1b[!p\x1b[0m\x1b[?25h\x1b[?1049l');
    expect(filter.write(encoder.encode('le'))).toBe('le');
  });
});

describe('random bytes', () => {
  /** All that may ever come out, as one expression. */
  const ALLOWED =
    /^(?:[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|[\t\n\r\b]|\x1b[78DEM]|\x1b\([0B]|\x1b\[[0-9;:]*[A-HJKLMPX@STdfrbm]|\x1b\[\?(?:7|25|1049)(?:;(?:7|25|1049))*[hl])*$/u;
  /** Bytes that make sequences likely. */
  const ALPHABET = [
    0x1b, 0x1b, 0x5b, 0x5b, 0x5d, 0x50, 0x3f, 0x3b, 0x31, 0x39, 0x30, 0x35, 0x6d, 0x68, 0x6e, 0x63,
    0x74, 0x62, 0x5c, 0x07, 0x18, 0x24, 0x20, 0x9b, 0x9d, 0xc2, 0xe2, 0x80, 0xae, 0x41, 0x28, 0x0a,
  ];

  test('only what the allowlist names comes out, and splitting changes nothing', () => {
    const random = randomNumbers(0x5eed);
    for (let round = 0; round < 2000; round++) {
      const length = Math.floor(random() * 60);
      const bytes = Uint8Array.from({ length }, () =>
        random() < 0.8
          ? (ALPHABET[Math.floor(random() * ALPHABET.length)] ?? 0)
          : Math.floor(random() * 256),
      );
      const out = filtered(bytes);
      expect(out, Buffer.from(bytes).toString('hex')).toMatch(ALLOWED);
      const at = Math.floor(random() * length);
      const filter = new TerminalFilter();
      expect(filter.write(bytes.subarray(0, at)) + filter.write(bytes.subarray(at))).toBe(out);
    }
  });
});

/** mulberry32: the same numbers in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
