/**
 * Where the output of a program may be interrupted: between its characters and control sequences
 * (ECMA-48). What is put inside of one would break it.
 */

const ESC = 0x1b;
const BEL = 0x07;
const CANCEL = 0x18;
const SUBSTITUTE = 0x1a;
/** A string without an end would keep everything back. */
const MAX_STRING_BYTES = 65_536;

type State = 'ground' | 'escape' | 'sequence' | 'string' | 'stringEscape';

export class EscapeBoundary {
  #state: State = 'ground';
  /** Bytes of a UTF-8 character that are still to come. */
  #missing = 0;
  #stringBytes = 0;

  get isAtBoundary(): boolean {
    return this.#state === 'ground' && this.#missing === 0;
  }

  shown(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.#state = this.#next(byte);
    }
  }

  #next(byte: number): State {
    if (byte === CANCEL || byte === SUBSTITUTE) {
      return 'ground';
    }
    switch (this.#state) {
      case 'ground':
        this.#character(byte);
        return byte === ESC ? 'escape' : 'ground';
      case 'escape':
        return afterEscape(byte, () => {
          this.#stringBytes = 0;
        });
      case 'sequence':
        // Parameters and intermediates, until the final byte; controls in it are carried out.
        return byte === ESC ? 'escape' : byte >= 0x40 && byte <= 0x7e ? 'ground' : 'sequence';
      case 'string':
        this.#stringBytes += 1;
        return byte === BEL || this.#stringBytes > MAX_STRING_BYTES
          ? 'ground'
          : byte === ESC
            ? 'stringEscape'
            : 'string';
      case 'stringEscape':
        return byte === 0x5c ? 'ground' : afterEscape(byte, () => undefined);
    }
  }

  #character(byte: number): void {
    if (byte >= 0xc2 && byte <= 0xf4) {
      this.#missing = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    } else {
      this.#missing = byte >= 0x80 && byte <= 0xbf ? Math.max(0, this.#missing - 1) : 0;
    }
  }
}

function afterEscape(byte: number, beginString: () => void): State {
  if (byte === 0x5b) {
    return 'sequence';
  }
  // OSC, DCS, SOS, PM, APC.
  if ([0x5d, 0x50, 0x58, 0x5e, 0x5f].includes(byte)) {
    beginString();
    return 'string';
  }
  // An intermediate byte is followed by others, or the final one.
  return byte === ESC || (byte >= 0x20 && byte <= 0x2f) ? 'escape' : 'ground';
}
