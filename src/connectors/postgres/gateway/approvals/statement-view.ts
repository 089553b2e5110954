/** What an approver is shown of a statement. */
import type { StatementPart } from '../../../../api/approvals.ts';
import type { Fields, View } from '../../../../api/view.ts';
import { describeChanges } from '../../../../policy/row-changes.ts';
import { rowCountText } from '../../../../policy/words/describe-grant.ts';

type Shown = Omit<StatementPart, 'view' | 'later' | 'prompt' | 'shortened'>;

export function statementView(statement: Shown): View {
  const { text, parameters, prepared, verbs, relations, database, role, settings } = statement;
  const values = parameters.map((parameter, index) => `$${index + 1} = ${valueText(parameter)}`);
  return [
    { type: 'fields', fields: [{ name: 'waits', value: waitsText(statement) }, effect(statement)] },
    { type: 'code', language: 'sql', text },
    ...(values.length === 0 ? [] : [{ type: 'list' as const, items: values }]),
    // What an EXECUTE runs is not in its text.
    ...prepared.flatMap(
      (run): View => [
        { type: 'sentence', text: 'which runs:' },
        { type: 'code', language: 'sql', text: run },
      ],
    ),
    {
      type: 'fields',
      fields: [
        {
          name: 'touches',
          value: `${verbs.join(', ')} on ${relations.join(', ') || 'no relation'}`,
        },
        { name: 'database', value: role === undefined ? database : `${database}, as ${role}` },
        ...settings.map(({ name, value }) => ({ name: 'set', value: `${name} = ${value}` })),
      ],
    },
  ];
}

/** Known only after the request has been made, where it is estimated. */
export function effect({
  estimate,
  changes,
}: Pick<StatementPart, 'estimate' | 'changes'>): Fields[number] {
  return { name: 'effect', value: effectText(estimate, changes) };
}

function waitsText({ waits, inTransaction }: Shown): string {
  if (!waits) return 'no: it has failed, and may be sent again once approved';
  return inTransaction ? 'inside an open transaction, which holds locks' : '';
}

function valueText({ format, value }: StatementPart['parameters'][number]): string {
  switch (format) {
    case 'null':
      return 'NULL';
    case 'hex':
      return `\\x${value}`;
    case 'text':
      return value;
  }
}

function effectText(
  estimate: StatementPart['estimate'],
  changes: StatementPart['changes'],
): string {
  if (changes === undefined) return estimateText(estimate);
  const counted = describeChanges(changes);
  // What the planner expects is no count, and better than nothing.
  return changes.counted === 'trial' || estimate.state !== 'known'
    ? counted
    : `${counted} (${estimateText(estimate)})`;
}

function estimateText(estimate: StatementPart['estimate']): string {
  switch (estimate.state) {
    case 'pending':
      return 'being estimated';
    case 'known':
      return `about ${rowCountText(Math.round(estimate.rows))}, by the planner`;
    case 'none':
      return `not estimated: ${estimate.why}`;
  }
}
