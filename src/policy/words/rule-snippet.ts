/**
 * A rule as hints show it, ready to be put into a policy: `allow: { functions: ["public.f"] }`.
 * Hints build every such text here, because a name can hold what YAML reads as something else.
 */
export type SnippetConditions = Readonly<Record<string, string | true | readonly string[]>>;

export function allowSnippet(conditions: SnippetConditions): string {
  return `allow: ${conditionsSnippet(conditions)}`;
}

/** The part in braces. Double quotes and their escapes are the same in JSON and in YAML. */
export function conditionsSnippet(conditions: SnippetConditions): string {
  const entries = Object.entries(conditions).map(([key, value]) => `${key}: ${valueText(value)}`);
  return `{ ${entries.join(', ')} }`;
}

function valueText(value: SnippetConditions[string]): string {
  if (typeof value !== 'object') return String(value);
  return `[${value.map((one) => JSON.stringify(one)).join(', ')}]`;
}
