import { describe, expect, test } from 'vitest';
import { MessageScanner } from '../../../../src/connectors/postgres/protocol/message-scanner.ts';
import {
  scramClientFinal,
  scramClientFirst,
} from '../../../../src/connectors/postgres/protocol/scram-client.ts';
import {
  makeScramVerifier,
  scramServerFinal,
  scramServerFirst,
} from '../../../../src/connectors/postgres/protocol/scram-server.ts';
import { StartupPacketReader } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { HoopError, ProtocolError } from '../../../../src/errors.ts';
import { CODECS } from './every-codec.ts';
import { readGoldenFiles } from './golden-file.ts';
import { Random } from './random.ts';

const ROUNDS = 2000;
const random = new Random();
const seed = `seed ${random.seed}`;
const golden = readGoldenFiles();

/** Most random bytes fail at the first count; a good message with a few changes gets further. */
function mutated(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let changes = 1 + random.below(3); changes > 0 && copy.length > 0; changes--) {
    copy[random.below(copy.length)] = random.below(4) === 0 ? 0xff : random.below(256);
  }
  return random.below(3) === 0 ? copy.subarray(0, random.below(copy.length + 1)) : copy;
}

function expectOnlyProtocolErrors(attempt: () => unknown, input: Buffer): void {
  try {
    attempt();
  } catch (error) {
    expect(error, `${seed}, input ${input.toString('hex')}`).toBeInstanceOf(ProtocolError);
  }
}

describe.each(Object.entries(CODECS))('%s', (name, roundTrip) => {
  const bodies = golden
    .filter(({ direction, message }) => `${direction}/${message}` === name)
    .map(({ direction, bytes }) => bytes.subarray(direction === 'startup' ? 4 : 5));

  test('random bytes give a message or a ProtocolError, and what is read is what is written', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const body =
        round % 2 === 0
          ? random.bytes(random.below(64))
          : mutated(bodies[random.below(bodies.length)] ?? Buffer.alloc(0));
      expectOnlyProtocolErrors(() => {
        const again = Buffer.from(roundTrip(body));
        const start = name.startsWith('startup/') ? 4 : 5;
        expect(again.subarray(start).equals(body), `${seed}, ${body.toString('hex')}`).toBe(true);
      }, body);
    }
  });
});

test('random bytes into the startup reader give a packet or a ProtocolError', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const file = golden[random.below(golden.length)];
    const input =
      round % 2 === 0 ? random.bytes(random.below(64)) : mutated(file?.bytes ?? Buffer.alloc(0));
    expectOnlyProtocolErrors(() => {
      const reader = new StartupPacketReader();
      for (const piece of random.split(input)) {
        reader.push(piece);
      }
    }, input);
  }
});

test('random bytes into the scanner come out unchanged, or end in an error', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const good = Array.from({ length: random.below(8) }, () => {
      const body = random.bytes(random.below(200));
      const head = Buffer.alloc(5);
      head[0] = random.below(256);
      head.writeUInt32BE(body.length + 4, 1);
      return Buffer.concat([head, body]);
    });
    const input = Buffer.concat([
      ...good,
      random.below(2) === 0 ? random.bytes(20) : Buffer.alloc(0),
    ]);
    const out: Uint8Array[] = [];
    const scanner = new MessageScanner({
      decide: (type) => (type % 2 === 0 ? 'pass' : 'whole'),
      maxWholeLength: 150,
    });
    try {
      for (const piece of random.split(input)) {
        scanner.push(piece, (item) => out.push(Buffer.from(item.bytes)));
      }
    } catch (error) {
      expect(error, seed).toBeInstanceOf(HoopError);
    }
    const output = Buffer.concat(out);
    expect(output.equals(input.subarray(0, output.length)), seed).toBe(true);
  }
});

test('random text in a SCRAM exchange gives a ProtocolError or a refusal, never a login', async () => {
  const verifier = makeScramVerifier({
    password: 'pencil',
    salt: random.bytes(16),
    iterations: 4096,
  });
  const clientFirst = 'n,,n=,r=rOprNGfwEbeRWgbNEkqO';
  const first = scramServerFirst({
    clientFirst,
    verifier,
    serverNonce: 'abcdef',
    plusOffered: false,
  });
  const clientFinal = `c=biws,r=rOprNGfwEbeRWgbNEkqOabcdef,p=${random.bytes(32).toString('base64')}`;
  for (let round = 0; round < ROUNDS; round++) {
    const other = mutated(Buffer.from(clientFirst)).toString('latin1');
    expectOnlyProtocolErrors(
      () =>
        scramServerFirst({
          clientFirst: other,
          verifier,
          serverNonce: 'abcdef',
          plusOffered: false,
        }),
      Buffer.from(other),
    );
    const final = mutated(Buffer.from(clientFinal)).toString('latin1');
    expectOnlyProtocolErrors(
      () => expect(scramServerFinal(first.state, final), seed).toBeUndefined(),
      Buffer.from(final),
    );
  }
  for (let round = 0; round < 200; round++) {
    const serverFirst = mutated(Buffer.from('r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1')).toString(
      'latin1',
    );
    await expect(
      scramClientFinal(scramClientFirst('abc').state, 'pencil', serverFirst),
      seed,
    ).rejects.toBeInstanceOf(ProtocolError);
  }
});
