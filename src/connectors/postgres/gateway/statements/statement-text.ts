/** The text of a statement before the policy sees it: whether it says to us what it says to the server. */
import { isAscii } from 'node:buffer';
import { after } from '../../../../soon.ts';
import type { SqlRefusal, Verdict } from '../../policy/facts/types.ts';
import { TextBytes } from '../../policy/parse/text-bytes.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { UndecodableText } from '../../protocol/malformed-message.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { tellAllowed, tellOpaque } from '../audit/statement-audit.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { type Decided, refusedVerdict } from './decide.ts';
import type { KnownStatement } from './known-statement.ts';

export type CheckedText =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'refused'; readonly verdict: Verdict & { effect: 'refuse' } };

const BACKSLASH = 0x5c;

/**
 * Decodes the text, and refuses it where the server may read it in another way: a backslash while
 * standard_conforming_strings is off, bytes beyond ASCII in an encoding we do not read, and both
 * while code that may have changed these settings has not been answered.
 * @param bytes of the message that hold the text.
 * @param decode takes the text out of the message.
 */
export function checkText(
  state: StreamState,
  bytes: Uint8Array,
  decode: () => string,
): CheckedText | Promise<CheckedText> {
  const { settings } = state;
  if (state.options.grant().passthrough) return { type: 'text', text: decode() };
  const hasBackslash = bytes.includes(BACKSLASH);
  const hasHighByte = !isAscii(bytes);
  if (!hasBackslash && !hasHighByte) return decodeText(state, decode);
  const doubt = settings.parserDoubt;
  const waits =
    doubt !== undefined && doubt < state.segment
      ? state.waitForTarget(() => settings.parserDoubt === undefined || state.skipping)
      : undefined;
  return after(waits, () => {
    if (settings.parserDoubt !== undefined) return refused(inDoubt());
    if (hasBackslash && !settings.standardStrings) return refused(nonStandardStrings());
    if (hasHighByte && !settings.encoding.isSafe) {
      return refused(unreadable(settings.encoding.name));
    }
    return decodeText(state, decode);
  });
}

function decodeText({ settings }: StreamState, decode: () => string): CheckedText {
  try {
    return { type: 'text', text: decode() };
  } catch (error) {
    if (error instanceof UndecodableText) {
      return refused(invalidBytes(settings.encoding.name));
    }
    throw error;
  }
}

/** One per statement that was let through; one for all of them under a passthrough grant. */
export function knownStatements(request: {
  readonly state: StreamState;
  readonly decided: Decided & { type: 'allowed' | 'opaque' };
  readonly text: string;
  readonly at: number;
  readonly parameterTypes: readonly number[];
}): readonly KnownStatement[] {
  const { state, decided, text, at, parameterTypes } = request;
  const statements = decided.type === 'allowed' ? decided.statements : [];
  const told = decided.type === 'allowed' ? decided.numbers : undefined;
  const numbers =
    told ??
    (decided.type === 'opaque'
      ? [tellOpaque(state.options, at, text)]
      : tellAllowed(state.options, at, statements, text));
  const [first = 0] = numbers;
  const common = {
    source: text,
    parameterTypes,
    grantGeneration: decided.grantGeneration,
    shape: undefined,
    shapeIsChecked: false,
    describedIn: undefined,
  };
  if (decided.type === 'opaque') {
    const nothing = { basis: undefined, allowed: undefined, usesNames: false, executes: undefined };
    return [{ ...common, ...nothing, number: first, text }];
  }
  const { basis, names } = decided;
  if (statements.length === 0) {
    const nothing = { basis, allowed: undefined, usesNames: false, executes: undefined };
    return [{ ...common, ...nothing, number: first, text }];
  }
  // The first one was counted when its message came.
  if (statements.length > 1) state.paceMs(statements.length - 1);
  const bytes = statements.length > 1 ? new TextBytes(text) : undefined;
  return statements.map((allowed, index) => ({
    ...common,
    usesNames: names.wereUsed,
    executes: names.found.get(allowed.analysis.protocol.execute ?? ''),
    number: numbers[index] ?? first,
    text: bytes === undefined ? text : bytes.slice(allowed.analysis),
    basis,
    allowed,
  }));
}

function refused(refusal: SqlRefusal): CheckedText {
  return { type: 'refused', verdict: refusedVerdict(refusal) };
}

function inDoubt(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_SETTING',
    message: 'statement cannot be read reliably in this pipeline',
    detail:
      'An earlier statement may have changed how text is read, and the server reports that only at the end of the pipeline.',
    hint: 'Send it after the answer to Sync, or without backslashes and non-ASCII characters.',
  });
}

function nonStandardStrings(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_SETTING',
    message: 'backslash in a statement while standard_conforming_strings is off',
    detail: 'The gateway reads string literals as the SQL standard defines them.',
    hint: 'Run SET standard_conforming_strings = on.',
  });
}

function unreadable(encoding: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ENCODING',
    message: `statements in client_encoding ${encoding} may contain only ASCII characters`,
    detail:
      'In this encoding a byte of a multibyte character can look like a quote or a backslash.',
    hint: 'Run SET client_encoding = UTF8.',
  });
}

/** In the server's own words. */
function invalidBytes(encoding: string): SqlRefusal {
  return sqlRefusal(
    {
      code: 'HOOP_ENCODING',
      message: `invalid byte sequence for encoding "${encoding}"`,
    },
    SQL_STATE.characterNotInRepertoire,
  );
}

/** Stands for a name that is not known, where a passthrough grant lets everything through. */
export function unknownStatement(grantGeneration: string): KnownStatement {
  return {
    number: 0,
    text: '',
    source: '',
    parameterTypes: [],
    grantGeneration,
    basis: undefined,
    allowed: undefined,
    usesNames: false,
    executes: undefined,
    shape: undefined,
    shapeIsChecked: false,
    describedIn: undefined,
  };
}
