import { expect, test } from 'vitest';
import type { RecordedItem } from '../../../../src/replay/build-timeline.ts';
import type { Statement } from '../../../../src/replay/timeline.ts';
import { buildTimeline } from '../../../replay/timeline.ts';
import { bytes, exec, RecordedSsh } from './recorded-ssh.ts';

function acts(items: readonly RecordedItem[]): Statement[] {
  const all = [...buildTimeline(items)].filter((entry) => entry.type === 'statement');
  return all.sort((a, b) => a.number - b.number);
}

test('a command is an act: text, decision, exit status, bytes, beginning of its output', () => {
  const ssh = new RecordedSsh().hello().open(0);
  const at = ssh.upOffset;
  ssh
    .request(0, exec('ls -l /srv'), { relations: ['ls'] })
    .input(0, 'typed')
    .wait(20)
    .output(0, 'total 0\n')
    .output(0, 'warned\n', 'stderr')
    .close(0, 3);
  const [open, act] = [...buildTimeline(ssh.items)];
  expect(open).toMatchObject({
    type: 'connection.open',
    user: 'deploy',
    application: 'OpenSSH_9.2p1',
  });
  expect(act).toMatchObject({
    type: 'statement',
    number: 1,
    stream: 1,
    at,
    protocol: 'exec',
    text: 'ls -l /srv',
    outcome: 'ok',
    decisions: [{ statement: 1, effect: 'allow', relations: ['ls'] }],
    startMs: ssh.startMs,
    endMs: ssh.startMs + 20,
    channel: {
      channel: 0,
      terminal: undefined,
      exit: { status: 3 },
      input: 5,
      output: 8,
      errors: 7,
      text: 'total 0\nwarned\n',
      more: 0,
    },
  });
});

test('what the client has refused by itself is an act of the connection, each once', () => {
  const ssh = new RecordedSsh().hello();
  const refused = { effect: 'refuse', code: 'HOOP_DENIED', verbs: ['agent'] } as const;
  const at = ssh.upOffset;
  ssh.up({ type: 'notCarried', what: 'agent' }).decision(at, refused);
  // No gateway takes these, and a recording may be anybody's: nothing is piled up.
  for (let more = 0; more < 1000; more += 1) {
    ssh.up({ type: 'notCarried', what: 'agent' });
  }
  // The gateway had no time for this one.
  ssh.up({ type: 'notCarried', what: 'x11' });
  expect(acts(ssh.items)).toMatchObject([
    {
      number: 1,
      protocol: 'not carried',
      text: 'agent forwarding (-A)',
      outcome: 'denied',
      decisions: [{ code: 'HOOP_DENIED' }],
    },
    { number: 2, text: 'X11 forwarding (-X)', outcome: 'unanswered' },
  ]);
});

test('a refused command is denied, and one after it on another channel stands for itself', () => {
  const ssh = new RecordedSsh().hello();
  const refused = { effect: 'refuse', code: 'HOOP_NOT_ALLOWED', message: 'not this' } as const;
  ssh
    .open(0)
    .request(0, exec('rm -rf /'), refused, 'failure')
    .output(0, 'hoop: not this\n', 'stderr');
  ssh.close(0, 126).open(1).request(1, exec('id'), {}).close(1, 0);
  expect(acts(ssh.items)).toMatchObject([
    { number: 1, text: 'rm -rf /', outcome: 'denied', decisions: [{ code: 'HOOP_NOT_ALLOWED' }] },
    { number: 2, text: 'id', outcome: 'ok', decisions: [{ statement: 2 }] },
  ]);
});

test('channels of one connection run beside each other, each with its own bytes', () => {
  const ssh = new RecordedSsh().hello();
  for (let channel = 0; channel < 10; channel++) {
    ssh.open(channel).request(channel, exec(`job ${channel}`), {});
  }
  for (let channel = 9; channel >= 0; channel--) {
    ssh.output(channel, `${channel}`.repeat(channel + 1)).close(channel, channel);
  }
  const all = acts(ssh.items).sort((a, b) => a.number - b.number);
  expect(all.map(({ text, channel }) => [text, channel?.text, channel?.exit])).toEqual(
    Array.from({ length: 10 }, (_, n) => [`job ${n}`, `${n}`.repeat(n + 1), { status: n }]),
  );
});

test('a shell has its terminal and what was asked for, and a signal is not an exit status', () => {
  const ssh = new RecordedSsh().hello().open(0).pty(0, 132, 50);
  ssh.request(0, { kind: 'env', name: 'LC_ALL', value: 'C' }).request(0, { kind: 'shell' }, {});
  ssh.output(0, '$ ').down({
    type: 'exitSignal',
    channel: 0,
    name: 'KILL',
    coreDumped: false,
    message: 'killed',
  });
  expect(acts(ssh.close(0).items)).toMatchObject([
    {
      protocol: 'shell',
      outcome: 'ok',
      channel: {
        terminal: { term: 'xterm-256color', columns: 132, rows: 50 },
        environment: [['LC_ALL', 'C']],
        exit: { signal: 'KILL', coreDumped: false, message: 'killed' },
      },
    },
  ]);
});

test('files of sftp: what was moved, what was refused, requests that share a frame', () => {
  const ssh = new RecordedSsh().hello().open(0);
  ssh.request(0, { kind: 'subsystem', name: 'sftp' }, { verbs: ['sftp'] });
  const at = ssh.upOffset;
  ssh
    .input(0, 'three requests')
    .decision(at, { verbs: ['sftp read'], relations: ['/srv/a'] })
    .decision(at, { verbs: ['sftp read'], relations: ['/srv/b'] })
    .decision(at, { verbs: ['sftp stat'], relations: ['/srv/a'] })
    .decision(at, {
      verbs: ['sftp write'],
      relations: ['/etc/x'],
      effect: 'refuse',
      code: 'HOOP_DENIED',
    })
    .file(0, { at, operation: 'read', path: '/srv/b', status: 4 })
    .file(0, {
      at,
      operation: 'read',
      path: '/srv/a',
      flags: ['read'],
      status: 0,
      read: { bytes: 3, from: 0, sha256: 'ab'.repeat(32), whole: true },
    })
    .output(0, 'bytes of sftp')
    .close(0, 0);
  const all = acts(ssh.items).sort((a, b) => a.number - b.number);
  expect(all).toMatchObject([
    { number: 1, protocol: 'subsystem', text: 'sftp', channel: { text: '', more: 13 } },
    {
      number: 2,
      protocol: 'file',
      text: 'read /srv/a',
      outcome: 'ok',
      file: { read: { bytes: 3 } },
    },
    { number: 3, text: 'read /srv/b', outcome: 'failed', file: { status: 4 } },
    { number: 4, text: 'stat /srv/a', outcome: 'ok' },
    { number: 5, text: 'write /etc/x', outcome: 'denied', decisions: [{ code: 'HOOP_DENIED' }] },
  ]);
});

test('a forward has its destination, bytes, and the reason of a failure', () => {
  const destination = {
    kind: 'direct-tcpip',
    port: 5432,
    originHost: '::1',
    originPort: 1,
  } as const;
  const ssh = new RecordedSsh().hello();
  const at = ssh.upOffset;
  ssh.open(0, { ...destination, host: 'db.internal' });
  ssh.decision(at, { verbs: ['forward'], relations: ['db.internal:5432'] });
  ssh.input(0, 'ping').output(0, 'pong!').close(0);
  ssh.up({ type: 'open', channel: 1, target: { ...destination, host: 'gone' }, window: 1 });
  ssh.down({ type: 'openFailed', channel: 1, reason: 2, message: 'connection refused' });
  expect(acts(ssh.items)).toMatchObject([
    {
      protocol: 'forward',
      text: 'db.internal:5432',
      outcome: 'ok',
      channel: { input: 4, output: 5, text: '' },
    },
    { text: 'gone:5432', outcome: 'failed', error: { message: 'connection refused' } },
  ]);
});

test('an approval stands with the command that waited for it', () => {
  const ssh = new RecordedSsh().hello().open(0);
  const at = ssh.upOffset;
  ssh
    .up({ type: 'request', channel: 0, wantReply: true, request: exec('systemctl restart web') })
    .decision(at, { effect: 'approve' })
    .evidence({
      type: 'held',
      stream: 1,
      at,
      request: 'r1',
      message: 'waits',
      approvers: 'ops',
      waits: true,
      until: '2026-01-01T01:00:00Z',
    });
  ssh.down({ type: 'success', channel: 0 }).close(0, 0);
  const entries = [...buildTimeline(ssh.items)];
  expect(entries.find(({ type }) => type === 'evidence')).toMatchObject({
    kind: 'held',
    statement: 1,
  });
  expect(acts(ssh.items)).toMatchObject([{ outcome: 'ok', approvals: [{ type: 'held' }] }]);
});

test('what the recording ends in, and what the target dropped, is still there', () => {
  const ssh = new RecordedSsh().hello().open(0).request(0, exec('sleep 9'), {}).output(0, 'z');
  expect(acts(ssh.items)).toMatchObject([{ text: 'sleep 9', outcome: 'ok', endMs: undefined }]);
  ssh.down({ type: 'disconnect', message: 'the target closed the connection' });
  expect(acts(ssh.items)).toMatchObject([
    {
      outcome: 'ok',
      error: { message: 'the target closed the connection' },
      channel: { text: 'z' },
    },
  ]);
});

test('cutting the bytes anywhere changes nothing', () => {
  const ssh = new RecordedSsh().hello().open(0).pty(0).request(0, exec('printf é'), {});
  ssh.output(0, 'é\n').close(0, 0);
  const whole = acts(ssh.items);
  const cut = ssh.items.flatMap((item): RecordedItem[] =>
    item.type === 'data'
      ? Array.from(item.piece.bytes, (_, index) => ({
          type: 'data',
          piece: {
            ...item.piece,
            offset: item.piece.offset + index,
            bytes: item.piece.bytes.subarray(index, index + 1),
          },
        }))
      : [item],
  );
  expect(acts(cut)).toEqual(whole);
  expect(whole[0]?.channel?.text).toBe('é\n');
});

test('bytes that are no frames are named with their place, and end only this connection', () => {
  const ssh = new RecordedSsh().hello().open(0).request(0, exec('id'), {});
  const { upOffset } = ssh;
  ssh.items.push({
    type: 'data',
    piece: {
      timeMs: ssh.startMs,
      stream: 1,
      direction: 0,
      offset: upOffset,
      bytes: bytes('GET / HTTP/1.1\r\n'),
    },
  });
  const other = new RecordedSsh(2, ssh.startMs)
    .hello()
    .open(0)
    .request(0, exec('true'), {})
    .close(0, 0);
  const entries = [...buildTimeline([...ssh.items, ...other.items])];
  expect(entries.find(({ type }) => type === 'unreadable')).toMatchObject({
    stream: 1,
    direction: 'up',
    offset: upOffset,
  });
  expect(acts([...ssh.items, ...other.items])).toMatchObject([{ text: 'id' }, { text: 'true' }]);
});

test('of a long output the beginning is kept and the rest counted', () => {
  const ssh = new RecordedSsh().hello().open(0).request(0, exec('cat big'), {});
  ssh.output(0, new Uint8Array(1_000_000).fill(0x61)).close(0, 0);
  const [act] = acts(ssh.items);
  expect(act?.channel?.output).toBe(1_000_000);
  expect(act?.channel?.text.length).toBe(16 * 1024);
  expect(act?.channel?.more).toBe(1_000_000 - 16 * 1024);
});

test('what the gateway says of a channel that is over stands with it, also behind its end', () => {
  const ssh = new RecordedSsh().hello().open(0);
  ssh.request(0, { kind: 'env', name: 'LD_PRELOAD', value: '/tmp/x.so' });
  ssh.request(0, exec('id'), {}).close(0, 0);
  const told = {
    type: 'ssh.channel',
    stream: 1,
    channel: 0,
    at: 0,
    up: 0,
    down: 0,
    stderr: 0,
  } as const;
  ssh.event({ ...told, exitStatus: 0, dropped: ['LD_PRELOAD'] });
  const destination = {
    kind: 'direct-tcpip',
    port: 5432,
    originHost: '::1',
    originPort: 1,
  } as const;
  const at = ssh.upOffset;
  ssh.open(1, { ...destination, host: 'db' }).decision(at, { verbs: ['forward'] });
  ssh.event({
    type: 'result',
    stream: 1,
    at,
    statement: 2,
    rows: 0,
    maskedValues: 0,
    detected: {},
    tag: '10.0.0.5',
    sqlState: undefined,
  });
  expect(acts(ssh.close(1).items)).toMatchObject([
    {
      text: 'id',
      channel: { environment: [['LD_PRELOAD', '/tmp/x.so']], dropped: ['LD_PRELOAD'] },
    },
    { text: 'db:5432', address: '10.0.0.5' },
  ]);
});
