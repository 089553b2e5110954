/** The work of `hoop ssh`: a session, the ssh of this machine in it, and its end. */
import { openGateway } from '../../auth/open-gateway.ts';
import { CONNECTORS } from '../../connectors/registry.ts';
import { findProgram } from '../../connectors/ssh/client/ssh-files.ts';
import { HoopError } from '../../errors.ts';
import { type ClientSession, connectSession } from '../../tunnel/connect-session.ts';
import { uploadPending, uploadRecording } from '../../tunnel/upload-recordings.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { withOtherTargets } from '../other-targets.ts';
import { requireServer } from '../require-server.ts';
import { type PromptFlags, promptInForce } from '../runs/prompt-flags.ts';
import { runChild } from '../runs/run-child.ts';
import { sessionOptions } from '../session-options.ts';

export interface SshRequest extends PromptFlags {
  /** With or without a login before it. */
  readonly target: string;
  readonly command: readonly string[];
  /** For ssh(1), before the target. */
  readonly flags: readonly string[];
  readonly reason?: string;
}

export async function runSsh(io: Io, request: SshRequest): Promise<void> {
  const program = requireSsh(io);
  const { user, name } = splitTarget(request.target);
  const prompt = await promptInForce(io, request);
  // What is shown is ssh's; what goes wrong is said all the same.
  const silent: Io = { ...io, note: () => undefined };
  // While ssh runs, the terminal is raw, where lines would make a staircase.
  const later: string[] = [];
  await using open = await openGateway(silent);
  const session = await connectSession({
    open,
    target: name,
    reason: request.reason,
    prompt,
    listen: { type: 'tcp', port: 0, connectors: CONNECTORS },
    self: io.self,
    ...sessionOptions(io),
    events: {
      onRefused: (reason) => later.push(`a local connection was refused: ${reason}`),
      onNote: (text, isTold) => {
        // ssh prints the reason with which its connection ends.
        if (isTold !== true) later.push(plain(text));
      },
    },
  }).catch((error: unknown) => withOtherTargets(error, open, name, io.signal));
  // What earlier sessions left behind goes meanwhile, and waits for the next one if it takes longer.
  const ended = new AbortController();
  const pending = uploadPending({
    open,
    except: [session.id],
    note: silent.note,
    signal: AbortSignal.any([io.signal, ended.signal]),
  });
  const deliver = async (): Promise<void> => {
    await session.close();
    try {
      const upload = { open, session: session.id, live: session.live };
      await uploadRecording({ ...upload, note: silent.note, waitNote: io.note });
    } finally {
      ended.abort();
      await pending;
    }
  };
  try {
    const configFile = await configOf(session);
    const words = [program, '-F', configFile, ...request.flags, user + name, ...remote(request)];
    io.setExitCode(await runChild(io, words, { ...io.env, HOOP_SESSION: session.id }));
  } catch (error) {
    for (const text of later) io.note(text);
    // This is why there is nothing more to come; what cannot be sent now is sent by a later command.
    await deliver().catch(() => undefined);
    throw error;
  }
  for (const text of later) io.note(text);
  await deliver();
}

/** A command that begins with `-` is one of the server, and no option of ssh. */
function remote({ command }: SshRequest): readonly string[] {
  return command.length === 0 ? [] : ['--', ...command];
}

/** As ssh(1): the login is what stands before the last `@`. */
function splitTarget(target: string): { readonly user: string; readonly name: string } {
  const at = target.lastIndexOf('@') + 1;
  return { user: target.slice(0, at), name: target.slice(at) };
}

function requireSsh(io: Io): string {
  const program = findProgram('ssh', io.env['PATH'] ?? '');
  if (program === undefined) {
    throw new HoopError('HOOP_MISSING_PROGRAM', 'there is no ssh on this machine', {
      detail: 'hoop has no SSH client of its own: it uses yours.',
      hint: 'Install OpenSSH’s client, e.g. `apt install openssh-client` or `dnf install openssh-clients`.',
    });
  }
  return program;
}

async function configOf({ offer, reply }: ClientSession): Promise<string> {
  await requireServer(reply.target);
  return offer.endpoint(true).env['HOOP_SSH_CONFIG'] ?? '';
}
