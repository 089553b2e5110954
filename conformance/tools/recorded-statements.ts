/** What hoop itself recorded of a session: how many statements, and those that it refused. */
import { runHoop } from '../../src/demo/hoop-process.ts';

export interface RefusedStatement {
  readonly text: string;
  readonly message: string;
  readonly detail: string;
}

export interface RecordedSession {
  readonly statements: number;
  readonly refused: readonly RefusedStatement[];
}

export async function recordedSession(
  home: string,
  session: string,
  signal: AbortSignal,
): Promise<RecordedSession> {
  const replay = await runHoop(['sessions', 'replay', session, '--json'], { home, signal });
  if (replay.exitCode !== 0) throw new Error(`hoop sessions replay failed: ${replay.stderr}`);
  const statements = replay.stdout
    .split('\n')
    .map((line): unknown => (line === '' ? undefined : JSON.parse(line)))
    .filter(isStatement);
  const refused = statements.filter(({ outcome }) => outcome === 'denied');
  return {
    statements: statements.length,
    refused: refused.map(({ text, error, decisions }) => ({
      text,
      message: error?.message ?? decisions.find(({ message }) => message)?.message ?? '',
      detail: error?.detail ?? '',
    })),
  };
}

interface RecordedStatement {
  readonly text: string;
  readonly outcome: string;
  readonly error?: { readonly message: string; readonly detail?: string };
  readonly decisions: readonly { readonly message?: string }[];
}

function isStatement(entry: unknown): entry is RecordedStatement {
  return (
    typeof entry === 'object' && entry !== null && 'type' in entry && entry.type === 'statement'
  );
}
