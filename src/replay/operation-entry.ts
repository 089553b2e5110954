/** Entries of the timeline, and decisions in them, as all protocols have them. */
import type { RecordingEvent } from '../recording/formats/types.ts';
import type { Decision, Statement } from './timeline.ts';

type Start = Pick<Statement, 'number' | 'stream' | 'at' | 'text' | 'prompt' | 'startMs'>;

/** An operation of which nothing is known but that it was asked for, in these words. */
export function operationEntry(start: Start): Statement {
  return {
    type: 'statement',
    ...start,
    protocol: 'simple',
    textLength: Buffer.byteLength(start.text),
    name: '',
    parameters: [],
    decisions: [],
    approvals: [],
    results: [],
    error: undefined,
    notices: [],
    outcome: 'unanswered',
    endMs: undefined,
  };
}

export function decisionOf(event: Extract<RecordingEvent, { type: 'decision' }>): Decision {
  const { effect, verbs, relations, columnsComputed = [], columnsMasked, outputsMasked } = event;
  const { rules, code, message, policyCommit, statement, comments, prompt } = event;
  return {
    ...{ statement, effect, verbs, relations, columnsComputed, columnsMasked, outputsMasked },
    ...{ rules, code, message, policyCommit, comments, prompt },
  };
}
