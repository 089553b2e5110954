/**
 * The files of a policy commit to a Policy, or to all that is wrong with them. Pure: the caller
 * has read (and verified) the files.
 */
import type { z } from 'zod';
import { HoopError } from '../errors.ts';
import { checkAgents } from './check-agents.ts';
import { mapRules, type PolicyConnector } from './connector.ts';
import type { Parsed } from './content-from-file.ts';
import { crossCheck } from './cross-check.ts';
import { agentFrom, documentFrom, hoopSettings, targetFrom } from './from-files.ts';
import type {
  AgentDocument,
  Policy,
  PolicyContent,
  PolicyDocument,
  PolicyProblem,
  PolicyTarget,
} from './policy.ts';
import { agentFile, HoopFile, policyFile } from './schema/schema.ts';
import { targetFile } from './schema/target-schema.ts';
import type { ApprovalTerms, ColumnMask } from './types.ts';
import { readYaml, type YamlDocument, type YamlPath } from './yaml-document.ts';

export interface LoadResult {
  /** undefined as soon as there is one problem: half a policy is no policy. */
  readonly policy: Policy | undefined;
  readonly problems: readonly PolicyProblem[];
}

/** Problems in one error text; all of them are in the result of `loadPolicy`. */
const MAX_SHOWN_PROBLEMS = 20;

const FILE_IN_FOLDER = /^(targets|policies|agents)\/([A-Za-z0-9][A-Za-z0-9._-]*)\.yaml$/;
export const POLICY_FOLDERS = ['targets', 'policies', 'agents', 'tests'];
/** What people keep beside policy files and what no one takes for a policy. */
const IGNORED = /(^|\/)(\.gitkeep|\.gitattributes|[^/]*\.md)$/;

/** Whether a file of the repository belongs to the policy; everything else is never read. */
export function isPolicyPath(path: string): boolean {
  return path === 'hoop.yaml' || (isInFolder(path) && !IGNORED.test(path));
}

function isInFolder(path: string): boolean {
  return POLICY_FOLDERS.some((folder) => path.startsWith(`${folder}/`));
}

/** @param files - Path in the repository → text. Paths for which `isPolicyPath` is false are ignored. */
export function loadPolicy(
  files: ReadonlyMap<string, string>,
  connectors: readonly PolicyConnector[],
): LoadResult {
  const TargetFile = targetFile(connectors);
  const PolicyFile = policyFile(connectors);
  const AgentFile = agentFile(connectors);
  const problems: PolicyProblem[] = [];
  const targets = new Map<string, PolicyTarget>();
  let documents: PolicyDocument[] = [];
  let agents: AgentDocument[] = [];
  let settings: ReturnType<typeof hoopSettings> | undefined;

  if (!files.has('hoop.yaml')) {
    problems.push(at('hoop.yaml', 'the file is missing; it must name the identity providers'));
  }
  for (const [path, text] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const folder = FILE_IN_FOLDER.exec(path)?.[1];
    if (path === 'hoop.yaml') {
      const parsed = parseFile(path, text, HoopFile, problems);
      settings = parsed && hoopSettings(parsed, problems);
    } else if (folder === 'targets') {
      const target = targetFrom(parseFile(path, text, TargetFile, problems), problems, connectors);
      if (target) {
        addTarget(targets, target, problems);
      }
    } else if (folder === 'policies') {
      const document = documentFrom(
        parseFile(path, text, PolicyFile, problems),
        problems,
        connectors,
      );
      if (document) {
        documents.push(document);
      }
    } else if (folder === 'agents') {
      const agent = agentFrom(parseFile(path, text, AgentFile, problems), problems, connectors);
      if (agent) {
        agents.push(agent);
      }
    } else if (isPolicyPath(path)) {
      problems.push(misplaced(path));
    }
  }
  if (settings) {
    const byDefault = settings.roles.approver;
    const { inference } = settings.defaults;
    documents = documents.map((document) =>
      withTermsOf(withInference(withApprovers(document, byDefault), inference), byDefault),
    );
    agents = agents.map((agent) => withInference(withApprovers(agent, byDefault), inference));
  }
  if (!settings) {
    problems.sort(byPlace);
    return { policy: undefined, problems };
  }
  const byName = new Map(agents.map((agent) => [agent.name, agent]));
  const policy: Policy = { ...settings, connectors, targets, documents, agents: byName };
  problems.push(...crossCheck(policy), ...checkAgents(policy, agents));
  problems.sort(byPlace);
  return problems.length > 0 ? { policy: undefined, problems } : { policy, problems: [] };
}

function withApprovers<Content extends PolicyContent>(
  document: Content,
  byDefault: readonly string[],
): Content {
  const complete = <Rule extends { readonly approval?: ApprovalTerms }>(rule: Rule): Rule =>
    rule.approval === undefined || rule.approval.groups.length > 0
      ? rule
      : { ...rule, approval: { ...rule.approval, groups: byDefault } };
  return {
    ...document,
    rules: document.rules.map(complete),
    own: mapRules(document.own, complete),
  };
}

function withInference<Content extends PolicyContent>(
  document: Content,
  byDefault: ColumnMask['inference'],
): Content {
  const inference = document.inference ?? byDefault;
  return { ...document, masks: document.masks.map((mask) => ({ ...mask, inference })) };
}

function withTermsOf(document: PolicyDocument, byDefault: readonly string[]): PolicyDocument {
  const { request } = document;
  return request === undefined || request.approvers.length > 0
    ? document
    : { ...document, request: { ...request, approvers: byDefault } };
}

/** @throws HoopError HOOP_POLICY_INVALID with every problem (up to 20) in its detail. */
export function requirePolicy(
  files: ReadonlyMap<string, string>,
  connectors: readonly PolicyConnector[],
): Policy {
  const { policy, problems } = loadPolicy(files, connectors);
  if (policy) {
    return policy;
  }
  const shown = problems.slice(0, MAX_SHOWN_PROBLEMS).map(problemLine);
  const rest = problems.length - shown.length;
  throw new HoopError('HOOP_POLICY_INVALID', `the policy has ${count(problems.length)}`, {
    detail: `${shown.join('\n')}${rest > 0 ? `\n… and ${rest} more` : ''}`,
    hint: 'Run `hoop policy check` in a checkout of the policy repository.',
  });
}

export function problemLine(problem: PolicyProblem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}

function count(problems: number): string {
  return problems === 1 ? 'a problem' : `${problems} problems`;
}

function misplaced(path: string): PolicyProblem {
  if (path.startsWith('tests/')) {
    return at(path, 'policy tests are not supported yet; remove the file or keep it elsewhere');
  }
  // Ignoring `policies/deny.yml` would drop a deny without a word.
  return at(
    path,
    'not read from here; policies are in policies/NAME.yaml, targets in targets/NAME.yaml and agents in agents/NAME.yaml',
  );
}

function addTarget(
  targets: Map<string, PolicyTarget>,
  target: PolicyTarget,
  problems: PolicyProblem[],
): void {
  const other = targets.get(target.name);
  if (other) {
    problems.push({
      file: target.file,
      line: target.line,
      column: 1,
      message: `the target "${target.name}" is already in ${other.file}`,
    });
  } else {
    targets.set(target.name, target);
  }
}

function parseFile<Schema extends z.ZodType>(
  file: string,
  text: string,
  schema: Schema,
  problems: PolicyProblem[],
): Parsed<z.output<Schema>> | undefined {
  const outcome = readYaml(file, text);
  if ('problems' in outcome) {
    problems.push(...outcome.problems);
    return undefined;
  }
  const { document } = outcome;
  const result = schema.safeParse(document.value, { reportInput: false });
  if (!result.success) {
    problems.push(...result.error.issues.flatMap((issue) => issueProblems(file, document, issue)));
    return undefined;
  }
  return { file, value: result.data, document };
}

function issueProblems(
  file: string,
  document: YamlDocument,
  issue: z.core.$ZodIssue,
): PolicyProblem[] {
  const path: YamlPath = issue.path.filter((part) => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      file,
      ...document.placeOfKey(path, key),
      message: issue.message.replace(/^unknown key .*?; /, `unknown key "${key}"; `),
    }));
  }
  if (issue.code === 'invalid_union' && !issue.message.startsWith('expected')) {
    const [keys = []] = issue.errors;
    return keys.flatMap((inner) =>
      issueProblems(file, document, { ...inner, path: [...issue.path, ...inner.path] }),
    );
  }
  return [{ file, ...document.place(path), message: `${where(path)}${wording(issue)}` }];
}

/** zod's own texts, in the words that a YAML author knows. */
function wording(issue: z.core.$ZodIssue): string {
  if (issue.message.startsWith('expected')) {
    return issue.message;
  }
  if (issue.code === 'invalid_type') {
    const missing = issue.message.endsWith('received undefined');
    const expected = { object: 'keys and values', array: 'a list', boolean: 'true or false' };
    const type = Object.entries(expected).find(([name]) => name === issue.expected)?.[1];
    return `${missing ? 'missing; ' : ''}expected ${type ?? `a ${issue.expected}`}`;
  }
  if (issue.code === 'invalid_value') {
    return `expected ${issue.values.map((value) => `"${String(value)}"`).join(' or ')}`;
  }
  return issue.message.slice(0, 1).toLowerCase() + issue.message.slice(1);
}

function where(path: YamlPath): string {
  return path.length === 0 ? '' : `${path.join('.').replace(/\.(\d+)/g, '[$1]')}: `;
}

function at(file: string, message: string): PolicyProblem {
  return { file, line: 1, column: 1, message };
}

function byPlace(a: PolicyProblem, b: PolicyProblem): number {
  return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
}
