/** Grants in few words: `allow select, insert on public.*`, `public.customers.ssn full`. */
import { splitColumn } from '../../../../src/policy/patterns.ts';
import type {
  ColumnMask,
  Grant,
  MaskKind,
  RuleEffect,
  StatementRule,
} from '../../../../src/policy/types.ts';

export interface GrantText {
  /**
   * `allow|deny|approve VERB, VERB [with WHERE|without WHERE] [up to N rows|above N rows] [on REL, REL]`
   * or `… calls of FUNCTION`.
   */
  readonly rules?: readonly string[];
  /** `schema.relation.column KIND [writable] [lookup]` */
  readonly masks?: readonly string[];
  readonly detectors?: Grant['detectors'];
  readonly inference?: 'allow' | 'deny';
  readonly passthrough?: boolean;
}

export function grantOf(text: GrantText): Grant {
  return {
    commit: '0123456789abcdef0123456789abcdef01234567',
    generation: JSON.stringify(text),
    target: 'db',
    rules: (text.rules ?? []).map(ruleOf),
    masks: (text.masks ?? []).map((mask) => maskOf(mask, text.inference ?? 'allow')),
    detectors: text.detectors ?? [],
    limits: {
      maxTimeSeconds: 3600,
      idleTimeSeconds: 600,
      maxConnections: 5,
      maxRows: undefined,
      lookups: 100,
    },
    requireReason: false,
    passthrough: text.passthrough ?? false,
    recording: 'full',
  };
}

function ruleOf(text: string, index: number): StatementRule {
  const parts =
    /^(allow|deny|approve) (?:calls of (?<functions>.+?)(?<shows> that may show)?|(?<verbs>.+?)(?<where> with(?:out)? WHERE)?(?: (?:up to|above) (?<rows>\d+) rows)?(?: on (?<relations>.+))?)$/.exec(
      text,
    );
  const list = (name: string): string[] => parts?.groups?.[name]?.split(/,\s*/) ?? [];
  const where = parts?.groups?.['where'];
  const rows = parts?.groups?.['rows'];
  const effect = effectOf(parts?.[1]);
  return {
    effect,
    rule: { id: `p/rule-${index + 1}`, file: 'policies/p.yaml', line: 10 + index },
    verbs: list('verbs'),
    relations: list('relations'),
    functions: list('functions'),
    ...(parts?.groups?.['shows'] ? { mayShow: 'masked' as const } : {}),
    qualified: where === undefined ? undefined : where === ' with WHERE',
    ...(rows === undefined ? {} : { rows: Number(rows) }),
    hint: undefined,
    ...(effect === 'approve' ? { approval: TERMS } : {}),
  };
}

const TERMS = {
  groups: ['leads'],
  count: 1,
  timeoutSeconds: 900,
  waits: true,
  maxHoldSeconds: 30,
};

function effectOf(text: string | undefined): RuleEffect {
  if (text === 'allow' || text === 'deny' || text === 'approve') {
    return text;
  }
  throw new TypeError('no such rule');
}

function maskOf(text: string, inference: ColumnMask['inference']): ColumnMask {
  const [name = '', kind = '', ...permitted] = text.split(' ');
  const column = splitColumn(name);
  const kinds: readonly MaskKind[] = ['full', 'partial', 'hash', 'null'];
  const mask = kinds.find((known) => known === kind);
  if (!column || !mask) {
    throw new TypeError('no such mask');
  }
  return {
    ...column,
    mask,
    ...(permitted.includes('writable') ? { write: 'allow' as const } : {}),
    ...(permitted.includes('lookup') ? { lookup: true as const } : {}),
    inference,
    rule: { id: `p/mask ${name}`, file: 'policies/p.yaml', line: 5 },
  };
}
