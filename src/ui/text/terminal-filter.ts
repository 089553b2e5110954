/**
 * Bytes recorded from a terminal or a server, made safe to write to the viewer's terminal.
 *
 * Terminals answer some sequences by typing into the viewer's shell (title report CVE-2003-0063,
 * DECRQSS CVE-2008-2383, OSC 50 CVE-2022-45063), and others reach the clipboard (OSC 52), plant
 * links (OSC 8) or transfer files. So this is an allowlist: printable text, colours, cursor
 * movement and erasing pass, everything else does not. The state machine follows the VT500 parser
 * (https://vt100.net/emu/dec_ansi_parser) and keeps its state between writes, so that no way of
 * splitting the bytes changes what comes out. What it is given is a view: stored bytes stay as
 * they are.
 */
import { isUnsafe, visible } from './printable.ts';

/** xterm keeps 30; more is nobody's honest sequence. */
const MAX_PARAMETERS = 32;
/** No screen has more rows or columns. */
const MAX_PARAMETER = 9999;
/** `CSI n b` repeats a character: six bytes must not become a million. */
const MAX_REPEAT = 1000;
/** Code points of one discarded string (OSC, DCS, APC, PM, SOS); then text is text again. */
const MAX_STRING = 64 * 1024;
/** Code points of one control sequence: 32 parameters of 4 digits and their separators, rounded up. */
const MAX_SEQUENCE = 256;

/** CSI sequences that move, erase, scroll, repeat or colour, and that no terminal answers. */
const CSI_FINALS = 'ABCDEFGHJKLMPX@STdfrbm';
/** DEC private modes: autowrap, cursor visible, alternate screen. */
const PRIVATE_MODES = new Set(['7', '25', '1049']);

/** Soft reset, no attributes, cursor visible, main screen: whatever the recording left behind. */
export const TERMINAL_RESET = '\x1b[!p\x1b[0m\x1b[?25h\x1b[?1049l';

type State = 'ground' | 'escape' | 'charset' | 'skipEscape' | 'csi' | 'skipCsi' | 'string';

export class TerminalFilter {
  readonly #utf8 = new Utf8Stream();
  #state: State = 'ground';
  /** Parameters and intermediates of the control sequence that is being read. */
  #sequence = '';
  #stringLength = 0;

  /** @returns what may be written to a terminal for these bytes. */
  write(bytes: Uint8Array): string {
    let out = '';
    for (const codePoint of this.#utf8.decode(bytes)) {
      out += this.#next(codePoint);
    }
    return out;
  }

  /** Drops what is unfinished. Write the result last: it undoes what the bytes did to the terminal. */
  end(): string {
    this.#utf8.reset();
    this.#enter('ground');
    return TERMINAL_RESET;
  }

  #next(codePoint: number): string {
    if (this.#state === 'string') {
      return this.#inString(codePoint);
    }
    if (codePoint === 0x1b) {
      this.#enter('escape');
      return '';
    }
    if (codePoint === 0x18 || codePoint === 0x1a) {
      // CAN and SUB end any sequence.
      const shown = this.#state === 'ground' ? visible(String.fromCodePoint(codePoint)) : '';
      this.#enter('ground');
      return shown;
    }
    if (codePoint >= 0x80 && codePoint <= 0x9f) {
      return this.#c1(codePoint);
    }
    if (codePoint < 0x20) {
      // Terminals act on C0 controls in the middle of a sequence and go on with the sequence.
      return c0(codePoint);
    }
    switch (this.#state) {
      case 'ground':
        return text(codePoint);
      case 'escape':
        return this.#afterEscape(codePoint);
      case 'charset':
        return this.#charset(codePoint);
      case 'skipEscape':
        if (codePoint >= 0x30) {
          this.#enter('ground');
        }
        return '';
      case 'csi':
        return this.#inCsi(codePoint);
      case 'skipCsi':
        return this.#skipCsi(codePoint);
    }
  }

  /** The 8-bit forms are dropped, and so is the sequence that a terminal would take them to begin. */
  #c1(codePoint: number): string {
    switch (codePoint) {
      case 0x90: // DCS
      case 0x98: // SOS
      case 0x9d: // OSC
      case 0x9e: // PM
      case 0x9f: // APC
        this.#enter('string');
        return '';
      case 0x9b:
        this.#enter('skipCsi');
        return '';
      default:
        this.#enter('ground');
        return '';
    }
  }

  #afterEscape(codePoint: number): string {
    const character = String.fromCodePoint(codePoint);
    if (character === '[') {
      this.#enter('csi');
      return '';
    }
    if ('P]X^_'.includes(character)) {
      this.#enter('string');
      return '';
    }
    if (character === '(') {
      this.#enter('charset');
      return '';
    }
    if (codePoint < 0x30) {
      this.#enter('skipEscape');
      return '';
    }
    this.#enter('ground');
    if (codePoint > 0x7e) {
      return text(codePoint);
    }
    // Save and restore the cursor; a line down, a new line, a line up. `\` is the second half of the
    // ST that ended a string.
    return '78DEM'.includes(character) ? `\x1b${character}` : '';
  }

  #charset(codePoint: number): string {
    const character = String.fromCodePoint(codePoint);
    this.#enter('ground');
    return character === '0' || character === 'B' ? `\x1b(${character}` : '';
  }

  #inCsi(codePoint: number): string {
    if (codePoint === 0x7f) {
      return '';
    }
    if (codePoint > 0x7e) {
      this.#enter('ground');
      return text(codePoint);
    }
    if (codePoint >= 0x40) {
      const sequence = this.#sequence;
      this.#enter('ground');
      return csi(sequence, String.fromCodePoint(codePoint));
    }
    this.#sequence += String.fromCodePoint(codePoint);
    if (this.#sequence.length > MAX_SEQUENCE) {
      this.#enter('skipCsi');
    }
    return '';
  }

  #skipCsi(codePoint: number): string {
    if (codePoint >= 0x40 && codePoint !== 0x7f) {
      this.#enter('ground');
      return codePoint > 0x7f ? text(codePoint) : '';
    }
    return '';
  }

  #inString(codePoint: number): string {
    this.#stringLength += 1;
    if (codePoint === 0x1b) {
      // Either ST or the start of the next sequence; both end the string.
      this.#enter('escape');
    } else if (
      codePoint === 0x07 ||
      codePoint === 0x9c ||
      codePoint === 0x18 ||
      codePoint === 0x1a ||
      this.#stringLength >= MAX_STRING
    ) {
      this.#enter('ground');
    }
    return '';
  }

  #enter(state: State): void {
    this.#state = state;
    this.#sequence = '';
    this.#stringLength = 0;
  }
}

/** TAB, LF, CR and BS pass; ENQ, BEL, SO and SI are dropped; the others are shown. */
function c0(codePoint: number): string {
  switch (codePoint) {
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x0d:
      return String.fromCodePoint(codePoint);
    case 0x05:
    case 0x07:
    case 0x0e:
    case 0x0f:
      return '';
    default:
      return visible(String.fromCodePoint(codePoint));
  }
}

function text(codePoint: number): string {
  const character = String.fromCodePoint(codePoint);
  return isUnsafe(codePoint) ? visible(character) : character;
}

/** @returns the control sequence if it is on the allowlist, else nothing. */
function csi(sequence: string, final: string): string {
  if (sequence.startsWith('?')) {
    return privateMode(sequence.slice(1), final);
  }
  // No intermediates and no other private prefix: `CSI > 4 m` and `CSI $ r` are something else.
  if (!CSI_FINALS.includes(final) || !/^[0-9;:]*$/.test(sequence)) {
    return '';
  }
  if (sequence.includes(':') && final !== 'm') {
    return '';
  }
  const parameters = sequence.split(/[;:]/);
  const limit = final === 'b' ? MAX_REPEAT : MAX_PARAMETER;
  if (parameters.length > MAX_PARAMETERS || parameters.some((value) => Number(value) > limit)) {
    return '';
  }
  if (final === 'T' && parameters.length > 1) {
    // With five parameters xterm begins highlight mouse tracking, which reports.
    return '';
  }
  return `\x1b[${sequence}${final}`;
}

/** DECSET and DECRST of harmless modes; mouse, focus and paste modes make the terminal report. */
function privateMode(sequence: string, final: string): string {
  if ((final !== 'h' && final !== 'l') || !/^[0-9;]*$/.test(sequence)) {
    return '';
  }
  const modes = sequence.split(';').filter((mode) => PRIVATE_MODES.has(mode));
  return modes.length > 0 ? `\x1b[?${modes.join(';')}${final}` : '';
}

const REPLACEMENT = 0xfffd;

/**
 * UTF-8 to code points across any split. Unlike TextDecoder it tells a stray C1 byte (which an
 * 8-bit terminal acts on) from other malformed input: such a byte comes out as U+0080…U+009F, all
 * other malformed input as U+FFFD, as in https://encoding.spec.whatwg.org/#utf-8-decoder.
 */
class Utf8Stream {
  #codePoint = 0;
  #needed = 0;
  #lower = 0x80;
  #upper = 0xbf;

  *decode(bytes: Uint8Array): Generator<number> {
    for (const byte of bytes) {
      if (this.#needed > 0) {
        if (byte >= this.#lower && byte <= this.#upper) {
          this.#codePoint = (this.#codePoint << 6) | (byte & 0x3f);
          this.#lower = 0x80;
          this.#upper = 0xbf;
          this.#needed -= 1;
          if (this.#needed === 0) {
            yield this.#codePoint;
          }
          continue;
        }
        // The broken character ends here; this byte is looked at again as a first byte.
        this.reset();
        yield REPLACEMENT;
      }
      const first = this.#first(byte);
      if (first !== undefined) {
        yield first;
      }
    }
  }

  reset(): void {
    this.#needed = 0;
    this.#lower = 0x80;
    this.#upper = 0xbf;
  }

  /** @returns a whole code point, or undefined when more bytes belong to it. */
  #first(byte: number): number | undefined {
    if (byte < 0xa0) {
      return byte;
    }
    if (byte >= 0xc2 && byte <= 0xdf) {
      this.#needed = 1;
      this.#codePoint = byte & 0x1f;
    } else if (byte >= 0xe0 && byte <= 0xef) {
      // Overlong forms and surrogates are malformed.
      this.#lower = byte === 0xe0 ? 0xa0 : 0x80;
      this.#upper = byte === 0xed ? 0x9f : 0xbf;
      this.#needed = 2;
      this.#codePoint = byte & 0x0f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      this.#lower = byte === 0xf0 ? 0x90 : 0x80;
      this.#upper = byte === 0xf4 ? 0x8f : 0xbf;
      this.#needed = 3;
      this.#codePoint = byte & 0x07;
    } else {
      return REPLACEMENT;
    }
    return undefined;
  }
}
