/** ssh2 of Node.js. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { promisify } from 'node:util';

const { Client } = createRequire(join(process.cwd(), 'x.js'))('ssh2');
const { HOST, PORT, LOGIN, KEY, COMMAND, OUTPUT_COMMAND, PLACE, ECHO, INPUT } = process.env;
const input = readFileSync(INPUT);
const digest = (data) => createHash('sha256').update(data).digest('hex');
const say = (step, ...values) => process.stdout.write(`${step}: ${values.join(' ')}\n`);
const yes = (value) => (value ? 'True' : 'False');

const client = new Client();
client.connect({ host: HOST, port: Number(PORT), username: LOGIN, privateKey: readFileSync(KEY) });
await once(client, 'ready');
const exec = promisify(client.exec.bind(client));

let channel = await exec(COMMAND);
let exit = once(channel, 'exit');
const [out, err] = await Promise.all([text(channel), text(channel.stderr)]);
say('exec', (await exit)[0], out.trim(), err.trim());

channel = await exec('sha256sum');
channel.end(input);
say('input', (await text(channel)).trim());
say('output', digest(await buffer(await exec(OUTPUT_COMMAND))));

channel = await promisify(client.shell.bind(client))({ term: 'xterm', cols: 132, rows: 43 });
channel.setWindow(30, 100, 0, 0);
exit = once(channel, 'exit');
channel.end('stty size; test -t 0 && echo a-$TERM; exit 5\n');
const shown = await text(channel);
say('shell', (await exit)[0], yes(shown.includes('30 100')), yes(shown.includes('a-xterm')));

const sftp = await promisify(client.sftp.bind(client))();
const call = (name, ...args) => promisify(sftp[name].bind(sftp))(...args);
const path = join(PLACE, 'file');
await call('fastPut', INPUT, `${path}.new`);
await call('ext_openssh_rename', `${path}.new`, path);
const names = (await call('readdir', PLACE)).map(({ filename }) => `'${filename}'`);
const { size } = await call('stat', path);
say('sftp', digest(await buffer(sftp.createReadStream(path))), `[${names.join(', ')}]`, size);
await call('unlink', path);

const forward = await promisify(client.forwardOut.bind(client))(
  '127.0.0.1',
  1,
  '127.0.0.1',
  Number(ECHO),
);
forward.write('through');
say('forward', (await once(forward, 'data'))[0]);
client.end();
