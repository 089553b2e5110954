/** JSON Schemas of the policy files, for editors (yaml-language-server) and for agents. */
import * as z from 'zod';
import type { PolicyConnector } from '../connector.ts';
import { agentFile, HoopFile, policyFile } from './schema.ts';
import { targetFile } from './target-schema.ts';

export const POLICY_FILES = ['hoop', 'target', 'policy', 'agent'] as const;
export type PolicyFileKind = (typeof POLICY_FILES)[number];

const SCHEMAS = {
  hoop: { schema: () => HoopFile, title: 'hoop.yaml' },
  target: { schema: targetFile, title: 'targets/*.yaml' },
  policy: { schema: policyFile, title: 'policies/*.yaml' },
  agent: { schema: agentFile, title: 'agents/*.yaml' },
} as const satisfies Record<
  PolicyFileKind,
  { schema: (connectors: readonly PolicyConnector[]) => z.ZodType; title: string }
>;

/** JSON Schema 2020-12 of what an author writes (defaults may be left out). */
export function policyJsonSchema(
  kind: PolicyFileKind,
  connectors: readonly PolicyConnector[],
): Record<string, unknown> {
  const { schema, title } = SCHEMAS[kind];
  return { title, ...z.toJSONSchema(schema(connectors), { io: 'input', target: 'draft-2020-12' }) };
}
