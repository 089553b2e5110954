/** The outside as commands see it (`Io`), of this process. */
import type { Io } from '../commands/io.ts';
import { neutraliseLogCommands, obeysOutput } from '../ui/replay/log-commands.ts';
import { mayColor } from '../ui/text/may-color.ts';
import { terminalWidth } from '../ui/text/terminal-width.ts';
import { wrapWords } from '../ui/text/wrap-words.ts';
import type { Call } from './call.ts';
import type { ProcessSignals } from './signals.ts';

export function processIo(call: Call, signals: ProcessSignals): Io {
  prepare(process.stdout, (error) =>
    call.outputFailed(error, mayColor(process.stderr, process.env)),
  );
  // There is nobody left to tell.
  prepare(process.stderr, () => undefined);
  let isRaw = false;
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    self: [process.execPath, ...process.argv.slice(1, 2)],
    signal: signals.interrupted,
    onSignal: (listener, own) => signals.toChild(listener, own),
    onHangup: (listener) => signals.onHangup(listener),
    setRaw: (raw) => {
      isRaw = raw;
    },
    suspend: () => signals.stop(0),
    endBySignal: (signal) => signals.endBy(signal),
    get color() {
      return {
        stdout: call.color && mayColor(process.stdout, process.env),
        stderr: call.color && mayColor(process.stderr, process.env),
      };
    },
    get quiet() {
      return call.quiet;
    },
    note: (text) => {
      if (!call.quiet) {
        const width = terminalWidth(process.stderr, process.env);
        const lines = wrapWords(text, width, { first: 'hoop: ', rest: 'hoop:   ' });
        const end = isRaw && process.stderr.isTTY ? '\r\n' : '\n';
        process.stderr.write(lines.map((line) => `${line}${end}`).join(''));
      }
    },
    setExitCode: (code) => call.chooseStatus(code),
  };
}

/**
 * What cannot be written is no reason to end: a full disk under a log, or under what `hoop connect`
 * prints, is not one under the sessions that are live.
 * @param onFailure told of each write that fails while somebody is there to read
 */
function prepare(stream: NodeJS.WriteStream, onFailure: (error: Error) => void): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `hoop … | head`, a closed terminal: the reader has gone, which is no error of ours.
    if (error.code !== 'EPIPE' && error.code !== 'EIO') {
      onFailure(error);
    }
  });
  if (!stream.isTTY && obeysOutput(process.env)) {
    neutraliseLogCommands(stream);
  }
}
