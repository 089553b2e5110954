/** The policy's files as hoop reads them: with the connectors that it has. */
import { CONNECTORS } from '../../src/connectors/registry.ts';
import { policyConnectors } from '../../src/policy/connector.ts';
import {
  type LoadResult,
  loadPolicy as load,
  requirePolicy as requireLoaded,
} from '../../src/policy/load-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import {
  policyJsonSchema as jsonSchema,
  type PolicyFileKind,
} from '../../src/policy/schema/json-schema.ts';
import { agentFile, policyFile } from '../../src/policy/schema/schema.ts';
import { targetFile } from '../../src/policy/schema/target-schema.ts';

export const POLICY_CONNECTORS = await policyConnectors(CONNECTORS);
export const TargetFile = targetFile(POLICY_CONNECTORS);
export const PolicyFile = policyFile(POLICY_CONNECTORS);
export const AgentFile = agentFile(POLICY_CONNECTORS);

export function loadPolicy(files: ReadonlyMap<string, string>): LoadResult {
  return load(files, POLICY_CONNECTORS);
}

export function requirePolicy(files: ReadonlyMap<string, string>): Policy {
  return requireLoaded(files, POLICY_CONNECTORS);
}

export function policyJsonSchema(kind: PolicyFileKind): Record<string, unknown> {
  return jsonSchema(kind, POLICY_CONNECTORS);
}
