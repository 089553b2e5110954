/** The agents that are driven, each as its own documentation says for a model server of one's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Of one run of it. */
export interface Place {
  /** Of the model. */
  readonly url: string;
  readonly home: string;
  readonly project: string;
  /** The command of an MCP server that its configuration names. */
  readonly server?: readonly string[];
  /** After so long it gives a tool of the server up. */
  readonly patienceMs: number;
}

export interface DrivenAgent {
  readonly name: string;
  /** As its page calls it. */
  readonly title: string;
  readonly package: string;
  readonly registry: 'npm' | 'pypi';
  readonly program: string;
  /** The newest that could be installed of the current minor version, and of two before it. */
  readonly versions: readonly string[];
  readonly variables: (url: string) => Readonly<Record<string, string>>;
  /** Files below the home directory, before it starts. */
  readonly files?: (place: Place) => Readonly<Record<string, object>>;
  readonly headless: (task: string, place: Place) => readonly string[];
  /** Without a task, which is typed then. */
  readonly terminal: (place: Place) => readonly string[];
  /** What makes it give its tools up, in the mode `hold`, of its shell or of a server of MCP. */
  readonly impatient?: {
    readonly tool: 'shell' | 'mcp';
    readonly variables?: (patienceMs: number) => Readonly<Record<string, string>>;
  };
  /** Its tools are not called by the model: this is asked in place of the script. */
  readonly says?: (script: string) => string;
  /**
   * Why it is not so, in the vendor's words or from its documentation: of a mode, a version, or both
   * with a space between them; with a column (report.ts) behind it of that alone.
   */
  readonly reasons?: Readonly<Record<string, string>>;
}

/** The same form in most of them. */
const mcpServers = ({ server: [command, ...args] = [] }: Place, more: object = {}) =>
  command === undefined ? {} : { mcpServers: { 'prod-db': { command, args, ...more } } };
const mcpWords = (option: string, place: Place, more?: object): string[] =>
  place.server === undefined ? [] : [option, JSON.stringify(mcpServers(place, more))];

/** What `hoop mcp` reads within a run: for agents that give their servers a few variables alone. */
const RUN_VARIABLES = [
  ...['HOOP_RUN', 'HOOP_RUN_DIR', 'HOOP_FENCE', 'HOOP_PROD_DB_URL', 'DATABASE_URL'],
  ...['PGSERVICEFILE', 'PGPASSFILE'],
];

const stubProvider = (url: string) =>
  `model_providers.stub={name="stub",base_url="${url}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}`;
const codexWords = ({ url, project, patienceMs, server: [command, ...args] = [] }: Place) => [
  ...['-c', 'model_provider=stub', '-c', stubProvider(url), '-c', 'model=gpt-5'],
  ...['-c', `projects={"${project}"={trust_level="trusted"}}`],
  ...(command === undefined
    ? []
    : [
        ...['-c', `mcp_servers.prod-db.command=${JSON.stringify(command)}`],
        ...['-c', `mcp_servers.prod-db.args=${JSON.stringify(args)}`],
        ...['-c', `mcp_servers.prod-db.env_vars=${JSON.stringify(RUN_VARIABLES)}`],
        ...['-c', `mcp_servers.prod-db.tool_timeout_sec=${patienceMs / 1000}`],
        ...['-c', 'mcp_servers.prod-db.startup_timeout_sec=120'],
        // Else a first question that comes before the server is there has no tools of it.
        ...['-c', 'mcp_servers.prod-db.required=true'],
      ]),
  '--dangerously-bypass-approvals-and-sandbox',
];

/** Qwen Code began as a copy of it. @param directory of its settings, in the home directory */
const likeGemini = (directory: string, options: readonly string[], settings: object = {}) => ({
  files: (place: Place) => ({
    [`${directory}/settings.json`]: {
      ...settings,
      ...mcpServers(place, { trust: true, timeout: place.patienceMs }),
    },
  }),
  headless: (task: string) => [...options, '-y', '-p', task],
  terminal: () => [...options, '-y'],
});

export const AGENTS: readonly DrivenAgent[] = [
  {
    name: 'claude-code',
    title: 'Claude Code',
    package: '@anthropic-ai/claude-code',
    registry: 'npm',
    program: 'claude',
    versions: ['2.1.330', '2.0.77', '1.0.128'],
    variables: (url) => ({
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_API_KEY: 'sk-stub',
      IS_SANDBOX: '1',
      // Else a model looks for the tools of MCP servers with a tool, and the script has no such step.
      ENABLE_TOOL_SEARCH: 'false',
    }),
    files: ({ project }) => ({
      '.claude.json': {
        hasCompletedOnboarding: true,
        bypassPermissionsModeAccepted: true,
        customApiKeyResponses: { approved: ['sk-stub'] },
        // 1.0 does not start without the list.
        projects: { [project]: { hasTrustDialogAccepted: true, allowedTools: [] } },
      },
    }),
    headless: (task, place) => [
      ...mcpWords('--mcp-config', place),
      ...['-p', task, '--dangerously-skip-permissions'],
    ],
    terminal: () => ['--dangerously-skip-permissions'],
    impatient: {
      tool: 'shell',
      variables: (patienceMs) => ({
        BASH_DEFAULT_TIMEOUT_MS: String(patienceMs),
        BASH_MAX_TIMEOUT_MS: String(patienceMs),
        // Else the command goes on where the model does not see it.
        CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
      }),
    },
    reasons: {
      '1.0.128 prompt':
        '1.0 ignores all hooks in a file if it does not know one of them, here SubagentStart',
    },
  },
  {
    name: 'codex',
    title: 'Codex',
    package: '@openai/codex',
    registry: 'npm',
    program: 'codex',
    versions: ['0.169.0', '0.166.0', '0.165.0'],
    variables: () => ({ OPENAI_API_KEY: 'sk-stub' }),
    headless: (task, place) => ['exec', '--skip-git-repo-check', ...codexWords(place), task],
    terminal: codexWords,
    impatient: { tool: 'mcp' },
  },
  {
    name: 'gemini-cli',
    title: 'Gemini CLI',
    package: '@google/gemini-cli',
    registry: 'npm',
    program: 'gemini',
    versions: ['0.61.0', '0.60.0', '0.59.0'],
    variables: (url) => ({
      GOOGLE_GEMINI_BASE_URL: url,
      GEMINI_API_KEY: 'stub',
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
    }),
    ...likeGemini('.gemini', ['-m', 'gemini-2.5-flash'], {
      security: { auth: { selectedType: 'gemini-api-key' } },
    }),
    impatient: { tool: 'mcp' },
  },
  {
    name: 'qwen-code',
    title: 'Qwen Code',
    package: '@qwen-code/qwen-code',
    registry: 'npm',
    program: 'qwen',
    versions: ['0.24.4', '0.23.4', '0.21.10'],
    variables: (url) => ({
      OPENAI_BASE_URL: `${url}/v1`,
      OPENAI_API_KEY: 'stub',
      OPENAI_MODEL: 'stub',
    }),
    // As of Claude Code: a model would look for the tools of MCP servers with a tool.
    ...likeGemini('.qwen', ['--auth-type', 'openai'], {
      tools: { toolSearch: { enabled: false } },
    }),
    impatient: { tool: 'mcp' },
  },
  {
    name: 'opencode',
    title: 'opencode',
    package: 'opencode-ai',
    registry: 'npm',
    program: 'opencode',
    versions: ['1.18.33', '1.17.19', '1.15.13'],
    variables: () => ({}),
    files: ({ url, server, patienceMs }) => ({
      '.config/opencode/opencode.json': {
        provider: {
          stub: {
            npm: '@ai-sdk/openai-compatible',
            name: 'stub',
            options: { baseURL: `${url}/v1`, apiKey: 'x' },
            models: { stub: { name: 'stub', tool_call: true } },
          },
        },
        model: 'stub/stub',
        ...(server === undefined
          ? {}
          : { mcp: { 'prod-db': { type: 'local', command: server, timeout: patienceMs } } }),
      },
    }),
    headless: (task) => ['run', task],
    terminal: () => [],
    impatient: { tool: 'mcp' },
  },
  {
    name: 'copilot',
    title: 'Copilot CLI',
    package: '@github/copilot',
    registry: 'npm',
    program: 'copilot',
    // 0.0 asks no other model than that of GitHub's account.
    versions: ['1.0.102', '1.0.92', '1.0.24'],
    variables: (url) => ({
      COPILOT_OFFLINE: 'true',
      COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
      COPILOT_PROVIDER_API_KEY: 'x',
      COPILOT_MODEL: 'gpt-4.1',
    }),
    headless: (task, place) => [
      ...mcpWords('--additional-mcp-config', place, {
        type: 'local',
        tools: ['*'],
        env: Object.fromEntries(RUN_VARIABLES.map((name) => [name, `\${${name}}`])),
      }),
      ...['--allow-all-tools', '-p', task],
    ],
    terminal: () => ['--allow-all-tools'],
  },
  {
    name: 'aider',
    title: 'aider',
    package: 'aider-chat',
    registry: 'pypi',
    program: 'aider',
    versions: ['0.86.2', '0.85.5', '0.84.0'],
    variables: (url) => ({ OPENAI_API_BASE: `${url}/v1`, OPENAI_API_KEY: 'x' }),
    headless: (task) => ['--model', 'openai/stub', '--yes-always', '--no-git', '--message', task],
    terminal: () => ['--model', 'openai/stub', '--yes-always', '--no-git'],
    says: (script) => `/run ${script}`,
    reasons: {
      'terminal prompt': 'aider has no hooks',
      mcp: 'aider knows no MCP servers',
    },
  },
];

/** Below its home. */
export function writeFilesOf(agent: DrivenAgent, place: Place): void {
  for (const [name, content] of Object.entries(agent.files?.(place) ?? {})) {
    const path = join(place.home, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(content));
  }
}
