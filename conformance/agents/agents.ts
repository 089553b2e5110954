/** The agents that are driven, each as its own documentation says for a model server of one's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface DrivenAgent {
  readonly name: string;
  /** As its page calls it. */
  readonly title: string;
  readonly package: string;
  readonly registry: 'npm' | 'pypi';
  readonly program: string;
  /** The current one when this was written, and two before. */
  readonly versions: readonly string[];
  readonly variables: (url: string) => Readonly<Record<string, string>>;
  /** Files below the home directory, before it starts. */
  readonly files?: (url: string) => Readonly<Record<string, string>>;
  readonly headless: (task: string, url: string) => readonly string[];
  /** Without a task, which is typed then. */
  readonly terminal?: (url: string) => readonly string[];
  /** Its tools are not called by the model: this is asked in place of the script. */
  readonly says?: (script: string) => string;
  /** By column: why it is not so, in the vendor's words or from its documentation. */
  readonly reasons?: Readonly<Record<string, string>>;
}

const stubProvider = (url: string) =>
  `model_providers.stub={name="stub",base_url="${url}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}`;
const codexModel = (url: string) => [
  ...['-c', 'model_provider=stub', '-c', stubProvider(url), '-c', 'model=gpt-5'],
  '--dangerously-bypass-approvals-and-sandbox',
];

export const AGENTS: readonly DrivenAgent[] = [
  {
    name: 'claude-code',
    title: 'Claude Code',
    package: '@anthropic-ai/claude-code',
    registry: 'npm',
    program: 'claude',
    versions: ['2.1.197', '2.1.150', '2.1.100'],
    variables: (url) => ({
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_API_KEY: 'sk-stub',
      IS_SANDBOX: '1',
    }),
    files: () => ({
      '.claude.json': JSON.stringify({
        hasCompletedOnboarding: true,
        customApiKeyResponses: { approved: ['sk-stub'] },
      }),
    }),
    headless: (task) => ['-p', task, '--dangerously-skip-permissions'],
    terminal: () => ['--dangerously-skip-permissions'],
  },
  {
    name: 'codex',
    title: 'Codex',
    package: '@openai/codex',
    registry: 'npm',
    program: 'codex',
    versions: ['0.169.0', '0.160.0', '0.150.0'],
    variables: () => ({ OPENAI_API_KEY: 'sk-stub' }),
    headless: (task, url) => ['exec', '--skip-git-repo-check', ...codexModel(url), task],
    terminal: codexModel,
  },
  {
    name: 'gemini-cli',
    title: 'Gemini CLI',
    package: '@google/gemini-cli',
    registry: 'npm',
    program: 'gemini',
    versions: ['0.61.0', '0.55.0', '0.50.0'],
    variables: (url) => ({
      GOOGLE_GEMINI_BASE_URL: url,
      GEMINI_API_KEY: 'stub',
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
    }),
    files: () => ({
      '.gemini/settings.json': JSON.stringify({
        security: { auth: { selectedType: 'gemini-api-key' } },
      }),
    }),
    headless: (task) => ['-m', 'gemini-2.5-flash', '-y', '-p', task],
    terminal: () => ['-m', 'gemini-2.5-flash', '-y'],
  },
  {
    name: 'qwen-code',
    title: 'Qwen Code',
    package: '@qwen-code/qwen-code',
    registry: 'npm',
    program: 'qwen',
    versions: ['0.15.10', '0.14.0', '0.13.0'],
    variables: (url) => ({
      OPENAI_BASE_URL: `${url}/v1`,
      OPENAI_API_KEY: 'stub',
      OPENAI_MODEL: 'stub',
    }),
    headless: (task) => ['--auth-type', 'openai', '-y', '-p', task],
    terminal: () => ['--auth-type', 'openai', '-y'],
  },
  {
    name: 'opencode',
    title: 'opencode',
    package: 'opencode-ai',
    registry: 'npm',
    program: 'opencode',
    versions: ['1.18.33', '1.17.0', '1.16.0'],
    variables: () => ({}),
    files: (url) => ({
      '.config/opencode/opencode.json': JSON.stringify({
        provider: {
          stub: {
            npm: '@ai-sdk/openai-compatible',
            name: 'stub',
            options: { baseURL: `${url}/v1`, apiKey: 'x' },
            models: { stub: { name: 'stub', tool_call: true } },
          },
        },
        model: 'stub/stub',
      }),
    }),
    headless: (task) => ['run', task],
    terminal: () => [],
  },
  {
    name: 'copilot',
    title: 'Copilot CLI',
    package: '@github/copilot',
    registry: 'npm',
    program: 'copilot',
    versions: ['1.0.102', '1.0.90', '1.0.80'],
    variables: (url) => ({
      COPILOT_OFFLINE: 'true',
      COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
      COPILOT_PROVIDER_API_KEY: 'x',
      COPILOT_MODEL: 'gpt-4.1',
    }),
    headless: (task) => ['--allow-all-tools', '-p', task],
    terminal: () => ['--allow-all-tools'],
  },
  {
    name: 'aider',
    title: 'aider',
    package: 'aider-chat',
    registry: 'pypi',
    program: 'aider',
    versions: ['0.86.2', '0.85.0', '0.84.0'],
    variables: (url) => ({ OPENAI_API_BASE: `${url}/v1`, OPENAI_API_KEY: 'x' }),
    headless: (task) => ['--model', 'openai/stub', '--yes-always', '--no-git', '--message', task],
    says: (script) => `/run ${script}`,
    reasons: {
      'in a terminal': 'aider has no hooks, so what is typed in it cannot be recorded',
      'over MCP': 'aider knows no MCP servers',
    },
  },
];

/** Below `home`. */
export function writeFilesOf(agent: DrivenAgent, home: string, url: string): void {
  for (const [name, text] of Object.entries(agent.files?.(url) ?? {})) {
    const path = join(home, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
