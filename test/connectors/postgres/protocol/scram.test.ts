import { describe, expect, test } from 'vitest';
import { KnownScramKeys } from '../../../../src/connectors/postgres/protocol/known-scram-keys.ts';
import { preparePassword } from '../../../../src/connectors/postgres/protocol/saslprep.ts';
import {
  scramClientFinal,
  scramClientFirst,
  verifyScramServerFinal,
} from '../../../../src/connectors/postgres/protocol/scram-client.ts';
import {
  makeScramVerifier,
  scramServerFinal,
  scramServerFirst,
} from '../../../../src/connectors/postgres/protocol/scram-server.ts';

/** The example of https://www.rfc-editor.org/rfc/rfc7677#section-3 */
const RFC = {
  password: 'pencil',
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst:
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

const verifier = makeScramVerifier({ password: RFC.password, salt: RFC.salt, iterations: 4096 });
const startServer = (clientFirst: string, plusOffered = false) =>
  scramServerFirst({ clientFirst, verifier, serverNonce: RFC.serverNonce, plusOffered });

describe('the example of RFC 7677', () => {
  test('as the client', async () => {
    const first = scramClientFirst(RFC.clientNonce, 'user');
    expect(first.message).toBe(RFC.clientFirst);
    const final = await scramClientFinal(first.state, RFC.password, RFC.serverFirst);
    expect(final.message).toBe(RFC.clientFinal);
    expect(() => verifyScramServerFinal(final.state, RFC.serverFinal)).not.toThrow();
  });

  test('as the client that knows its keys, and another salt or number of rounds makes others', async () => {
    const known = new KnownScramKeys();
    const answer = async (serverFirst: string, with_: KnownScramKeys) => {
      const { state } = scramClientFirst(RFC.clientNonce, 'user');
      const final = await scramClientFinal(state, RFC.password, serverFirst, with_);
      return [final.message, Buffer.from(final.state.serverSignature).toString('hex')];
    };
    const asked = [
      RFC.serverFirst,
      RFC.serverFirst,
      RFC.serverFirst.replace('s=W22Z', 's=X22Z'),
      RFC.serverFirst.replace('i=4096', 'i=4097'),
      RFC.serverFirst,
    ];
    for (const serverFirst of asked) {
      expect(await answer(serverFirst, known)).toEqual(
        await answer(serverFirst, new KnownScramKeys()),
      );
    }
  });

  test('derives its keys once for logins at the same time, and again after a failure', async () => {
    const known = new KnownScramKeys();
    let derived = 0;
    const keys = { clientKey: RFC.salt, storedKey: RFC.salt, serverKey: RFC.salt };
    const derive = async () => {
      derived += 1;
      if (derived === 1) throw new Error('no memory');
      return keys;
    };
    await expect(known.of(RFC.salt, 4096, derive)).rejects.toThrow('no memory');
    const both = [known.of(RFC.salt, 4096, derive), known.of(RFC.salt, 4096, derive)];
    expect(await Promise.all(both)).toEqual([keys, keys]);
    expect(derived).toBe(2);
  });

  test('as the server', () => {
    const first = startServer(RFC.clientFirst);
    expect(first.message).toBe(RFC.serverFirst);
    expect(scramServerFinal(first.state, RFC.clientFinal)).toBe(RFC.serverFinal);
  });
});

describe('the server', () => {
  const nonce = RFC.clientNonce + RFC.serverNonce;
  const proof = RFC.clientFinal.slice(RFC.clientFinal.indexOf(',p='));

  test('gives nothing for a wrong password', async () => {
    const first = startServer(RFC.clientFirst);
    const client = scramClientFirst(RFC.clientNonce, 'user');
    const final = await scramClientFinal(client.state, 'Pencil', first.message);
    expect(scramServerFinal(first.state, final.message)).toBeUndefined();
  });

  test.each([
    ['channel binding with a mechanism that has none', 'p=tls-server-end-point,,n=,r=abc', false],
    ['"y" where -PLUS was offered: somebody took it away', 'y,,n=,r=abc', true],
    ['a flag that does not exist', 'x,,n=,r=abc', false],
    ['an authorization identity', 'n,a=admin,n=,r=abc', false],
    ['a mandatory extension', 'n,,m=ext,n=,r=abc', false],
    ['no user attribute', 'n,,r=abc', false],
    ['no nonce', 'n,,n=user', false],
    ['an empty nonce', 'n,,n=,r=', false],
    ['a nonce with a space', 'n,,n=,r=a b', false],
    ['nothing', '', false],
  ])('refuses %s', (_title, clientFirst, plusOffered) => {
    expect(() => startServer(clientFirst, plusOffered)).toThrow(
      expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
    );
  });

  test('accepts "y" where -PLUS was not offered, and holds the client to it', () => {
    const first = startServer('y,,n=,r=abc');
    expect(first.state.channelBinding).toBe('eSws');
    expect(() => scramServerFinal(first.state, `c=biws,r=abc${RFC.serverNonce}${proof}`)).toThrow(
      'another channel binding',
    );
  });

  test.each([
    ['no proof', `c=biws,r=${nonce}`],
    ['the nonce of another exchange', `c=biws,r=${RFC.clientNonce}other${proof}`],
    ['only the nonce of the client', `c=biws,r=${RFC.clientNonce}${proof}`],
    ['a channel binding that was not announced', `c=cD10bHM=,r=${nonce}${proof}`],
    ['attributes in another order', `r=${nonce},c=biws${proof}`],
    ['a proof that is too short', `c=biws,r=${nonce},p=AAAA`],
    ['a proof in sloppy base64', `c=biws,r=${nonce}${proof.slice(0, -1)}`],
  ])('refuses %s', (_title, clientFinal) => {
    const first = startServer(RFC.clientFirst);
    expect(() => scramServerFinal(first.state, clientFinal)).toThrow(
      expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
    );
  });

  test('accepts extensions between nonce and proof, as they are signed too', async () => {
    const first = startServer(RFC.clientFirst);
    const extended = RFC.clientFinal.replace(',p=', ',x=1,p=');
    // Well formed, but the proof was made for the message without the extension.
    expect(scramServerFinal(first.state, extended)).toBeUndefined();
  });
});

describe('the client', () => {
  const { state } = scramClientFirst('abc');
  const salt = RFC.salt.toString('base64');

  test.each([
    ['a nonce that is not ours', `r=abd123,s=${salt},i=4096`],
    ['our own nonce and nothing more', `r=abc,s=${salt},i=4096`],
    ['fewer rounds than 4096', `r=abc123,s=${salt},i=4095`],
    ['one round', `r=abc123,s=${salt},i=1`],
    ['more rounds than anybody needs', `r=abc123,s=${salt},i=1000001`],
    ['rounds in another notation', `r=abc123,s=${salt},i=0x1000`],
    ['no salt', 'r=abc123,s=,i=4096'],
    ['a salt in sloppy base64', 'r=abc123,s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096'],
    ['a mandatory extension', `m=ext,r=abc123,s=${salt},i=4096`],
    ['nothing', ''],
  ])('refuses %s', async (_title, serverFirst) => {
    await expect(scramClientFinal(state, 'pencil', serverFirst)).rejects.toMatchObject({
      code: 'HOOP_PROTOCOL',
    });
  });

  test('refuses a server that does not know the password', async () => {
    const first = scramClientFirst(RFC.clientNonce, 'user');
    const final = await scramClientFinal(first.state, RFC.password, RFC.serverFirst);
    for (const answer of [`v=${Buffer.alloc(32).toString('base64')}`, 'e=other-error', 'v=', '']) {
      expect(() => verifyScramServerFinal(final.state, answer)).toThrow(
        expect.objectContaining({ code: 'HOOP_PROTOCOL' }),
      );
    }
  });

  test('writes "=" and "," of a user name as RFC 5802 wants them', () => {
    expect(scramClientFirst('abc', 'a=b,c').message).toBe('n,,n=a=3Db=2Cc,r=abc');
  });
});

describe('channel binding', () => {
  const channel = Buffer.from('the hash of a certificate');
  const server = (clientFirst: string) =>
    scramServerFirst({
      clientFirst,
      verifier,
      serverNonce: RFC.serverNonce,
      plusOffered: true,
      channel,
    });

  test('is proved when both sides see the same certificate', async () => {
    const client = scramClientFirst('abc', '', { flag: 'p', data: channel });
    expect(client.message).toBe('p=tls-server-end-point,,n=,r=abc');
    const first = server(client.message);
    const final = await scramClientFinal(client.state, RFC.password, first.message);
    const serverFinal = scramServerFinal(first.state, final.message) ?? '';
    expect(() => verifyScramServerFinal(final.state, serverFinal)).not.toThrow();
  });

  test('fails when the client sees the certificate of somebody in between', async () => {
    const client = scramClientFirst('abc', '', { flag: 'p', data: Buffer.from('another') });
    const first = server(client.message);
    const final = await scramClientFinal(client.state, RFC.password, first.message);
    expect(() => scramServerFinal(first.state, final.message)).toThrow('another channel binding');
  });

  test('cannot be left out of a proof that announced it', async () => {
    const first = server('p=tls-server-end-point,,n=,r=abc');
    const client = scramClientFirst('abc');
    const final = await scramClientFinal(client.state, RFC.password, first.message);
    expect(() => scramServerFinal(first.state, final.message)).toThrow('another channel binding');
  });

  test.each([
    ['of another type', 'p=tls-unique,,n=,r=abc', 'not supported'],
    ['of a type that only begins like ours', 'p=tls-server-end-point2,,n=,r=abc', 'not supported'],
    ['announced as none', 'n,,n=,r=abc', 'without channel binding'],
    ['announced as not offered', 'y,,n=,r=abc', 'without channel binding'],
    ['without a flag', ',,n=,r=abc', 'malformed'],
  ])('%s is refused where -PLUS was chosen', (_title, clientFirst, message) => {
    expect(() => server(clientFirst)).toThrow(message);
  });

  test('"y" of a client that was offered none is repeated in its proof', async () => {
    const client = scramClientFirst('abc', '', { flag: 'y' });
    const first = startServer(client.message);
    const final = await scramClientFinal(client.state, RFC.password, first.message);
    expect(final.message).toContain('c=eSws,');
    expect(scramServerFinal(first.state, final.message)).toMatch(/^v=/);
  });
});

describe('preparePassword', () => {
  test.each([
    ['plain ASCII stays', 'I=X,y z', 'I=X,y z'],
    ['a soft hyphen goes', 'I\u00adX', 'IX'],
    ['a compatibility character is replaced', '\u00aa', 'a'],
    ['a roman numeral is replaced', '\u2168', 'IX'],
    ['another space becomes a space', 'a\u00a0b', 'a b'],
    ['a control character makes it stay as it is', '\u0007\u00aa', '\u0007\u00aa'],
    ['mixed directions make it stay as it is', '\u0627\u0031', '\u0627\u0031'],
  ])('%s', (_title, password, prepared) => {
    expect(preparePassword(password)).toBe(prepared);
  });
});
