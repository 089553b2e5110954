/** What was done on a server, as lines of text. */
import type { FileRecord, MovedBytes } from '../recording/formats/file-record.ts';
import type { ActKind, ChannelFacts, Statement } from '../replay/timeline.ts';
import { outputLines } from './text/output-text.ts';
import { plain } from './text/printable.ts';
import { byteCount, plural } from './text/times.ts';

const ACT_KINDS: ReadonlySet<string> = new Set<ActKind>([
  'shell',
  'exec',
  'subsystem',
  'forward',
  'file',
  'not carried',
]);

/** Lines of output shown with an act; `--channel` has all of it. */
const MAX_LINES = 200;

export function isAct({ protocol }: Pick<Statement, 'protocol'>): boolean {
  return ACT_KINDS.has(protocol);
}

/** Whether a terminal can play it. */
export function isPlayable({ protocol, channel }: Statement): boolean {
  return (
    (protocol === 'shell' || protocol === 'exec') &&
    channel !== undefined &&
    channel.output + channel.errors > 0
  );
}

/** @returns one line of plain text */
export function actText({ protocol, text, channel }: Statement): string {
  switch (protocol) {
    case 'shell':
      return channel?.terminal === undefined ? '(shell without a terminal)' : '(shell)';
    case 'exec':
      return plain(text.trim().replace(/\s+/g, ' ')) || '(empty command)';
    case 'forward':
      return `forward to ${plain(text)}`;
    case 'subsystem':
      return `(${plain(text)})`;
    default:
      return plain(text);
  }
}

/** E.g. `exit 1, 4.2 KiB of output`. */
export function actSummary({ protocol, channel, file }: Statement): string[] {
  if (file !== undefined) {
    return [
      ...movedText(file.read, 'read'),
      ...movedText(file.written, 'written'),
      ...(file.status === undefined || file.status === 0 ? [] : [`status ${file.status}`]),
    ];
  }
  if (channel === undefined) {
    return [];
  }
  const { input, output, errors } = channel;
  if (protocol === 'forward' || protocol === 'subsystem') {
    return [`${byteCount(input)} sent, ${byteCount(output + errors)} received`];
  }
  return [
    ...exitText(channel),
    ...(output + errors > 0 ? [`${byteCount(output + errors)} of output`] : []),
  ];
}

function exitText({ exit }: ChannelFacts): string[] {
  if (exit === undefined) {
    return [];
  }
  return 'status' in exit
    ? [`exit ${exit.status}`]
    : [`ended by SIG${plain(exit.signal)}${exit.coreDumped ? ' (core dumped)' : ''}`];
}

/** All that is known of it but the decision: terminal, variables, digests, the output's beginning. */
export function actLines(act: Statement): string[] {
  const { channel, file } = act;
  return [
    ...(act.address === undefined ? [] : [`led to ${plain(act.address)}`]),
    ...(channel === undefined ? [] : channelLines(act, channel)),
    ...(file === undefined ? [] : fileLines(file)),
  ];
}

function channelLines({ number }: Statement, channel: ChannelFacts): string[] {
  const { terminal, environment, dropped, input, text, more, exit } = channel;
  const lines = text === '' ? [] : outputLines(text);
  const hidden = lines.length - MAX_LINES;
  const left = [
    ...(hidden > 0 ? [plural(hidden, 'line')] : []),
    ...(more > 0 && text !== '' ? [byteCount(more)] : []),
  ];
  return [
    ...(terminal === undefined
      ? []
      : [`terminal ${plain(terminal.term)}, ${terminal.columns}×${terminal.rows}`]),
    ...environment.map(
      ([name, value]) =>
        `asked for ${plain(name)}=${plain(value)}${dropped.includes(name) ? ' (the server did not get it)' : ''}`,
    ),
    ...(exit !== undefined && 'signal' in exit && exit.message !== '' ? [plain(exit.message)] : []),
    ...(input > 0 ? [`${byteCount(input)} of input`] : []),
    ...lines.slice(0, MAX_LINES).map((line) => `│ ${line}`),
    ...(left.length > 0 ? [`… ${left.join(' and ')} more: --channel ${number}`] : []),
  ];
}

function fileLines(file: FileRecord): string[] {
  return [
    ...(file.asked === undefined ? [] : [`asked for as ${plain(file.asked)}`]),
    ...(file.flags === undefined || file.flags.length === 0
      ? []
      : [`opened to ${file.flags.map(plain).join(', ')}`]),
    ...digestLines(file.read, 'read'),
    ...digestLines(file.written, 'written'),
    ...(file.note === undefined ? [] : [plain(file.note)]),
  ];
}

function movedText(moved: MovedBytes | undefined, word: string): string[] {
  return moved === undefined ? [] : [`${byteCount(moved.bytes)} ${word}`];
}

function digestLines(moved: MovedBytes | undefined, word: string): string[] {
  if (moved === undefined) {
    return [];
  }
  const { bytes, from, sha256, notHashed, whole } = moved;
  const where =
    whole === true ? 'the whole file' : from === undefined ? 'appended' : `from byte ${from}`;
  const digest =
    sha256 === undefined ? plain(notHashed ?? 'not hashed') : `SHA-256 ${plain(sha256)}`;
  return [`${word}: ${plural(bytes, 'byte')}, ${where}, ${digest}`];
}
