/** JSON Schemas of the policy files, for editors (yaml-language-server) and for agents. */
import * as z from 'zod';
import { AgentFile, HoopFile, PolicyFile } from './schema.ts';
import { TargetFile } from './target-schema.ts';

export const POLICY_FILES = ['hoop', 'target', 'policy', 'agent'] as const;
export type PolicyFileKind = (typeof POLICY_FILES)[number];

const SCHEMAS = {
  hoop: { schema: HoopFile, title: 'hoop.yaml' },
  target: { schema: TargetFile, title: 'targets/*.yaml' },
  policy: { schema: PolicyFile, title: 'policies/*.yaml' },
  agent: { schema: AgentFile, title: 'agents/*.yaml' },
} as const satisfies Record<PolicyFileKind, { schema: z.ZodType; title: string }>;

/** JSON Schema 2020-12 of what an author writes (defaults may be left out). */
export function policyJsonSchema(kind: PolicyFileKind): Record<string, unknown> {
  const { schema, title } = SCHEMAS[kind];
  return { title, ...z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }) };
}
