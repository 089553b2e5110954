/**
 * The variables that go into a fence: settings of the shell, of languages and their tools, and
 * nothing that is somebody's key. A list of names that are secret would always lack one, so what is
 * not on this list stays outside until it is let in by name.
 */
import { LIBPQ_SETTINGS } from '../../libpq-settings.ts';

const NAMES: ReadonlySet<string> = new Set([
  // the person, the shell, the terminal
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'PWD', 'OLDPWD', 'SHLVL', '_', 'HOSTNAME'],
  ...['TERM', 'COLORTERM', 'TERM_PROGRAM', 'TERM_PROGRAM_VERSION', 'COLUMNS', 'LINES'],
  ...['NO_COLOR', 'FORCE_COLOR', 'CLICOLOR', 'CLICOLOR_FORCE', 'LS_COLORS', 'COLORFGBG'],
  ...['EDITOR', 'VISUAL', 'PAGER', 'LESS', 'LESSCHARSET', 'MANPATH', 'INFOPATH', 'TERMINFO'],
  ...['LANG', 'LANGUAGE', 'TZ', 'TZDIR', 'LOCALE_ARCHIVE', 'DEBIAN_FRONTEND', 'MAKEFLAGS'],
  // where things are
  ...['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR'],
  ...['XDG_DATA_DIRS', 'XDG_CONFIG_DIRS', 'LD_LIBRARY_PATH', 'PKG_CONFIG_PATH', 'VIRTUAL_ENV'],
  ...['GOPATH', 'GOROOT', 'GOBIN', 'GOFLAGS', 'CARGO_HOME', 'RUSTUP_HOME', 'RUSTUP_TOOLCHAIN'],
  ...['JAVA_HOME', 'JDK_HOME', 'GRADLE_HOME', 'MAVEN_HOME', 'M2_HOME', 'ANDROID_HOME'],
  ...['ANDROID_SDK_ROOT', 'PYENV_ROOT', 'PYENV_VERSION', 'RBENV_ROOT', 'GEM_HOME', 'GEM_PATH'],
  ...['NVM_DIR', 'NVM_BIN', 'NVM_INC', 'VOLTA_HOME', 'BUN_INSTALL', 'DENO_DIR', 'DENO_INSTALL'],
  ...['PNPM_HOME', 'ASDF_DIR', 'ASDF_DATA_DIR', 'SDKMAN_DIR', 'DOTNET_ROOT', 'COMPOSER_HOME'],
  ...['CONDA_PREFIX', 'CONDA_DEFAULT_ENV', 'CONDA_EXE', 'NIX_PATH', 'NIX_PROFILES'],
  // where agents keep their state, as the profiles have it
  ...['CLAUDE_CONFIG_DIR', 'CODEX_HOME', 'QWEN_HOME', 'COPILOT_HOME'],
  ...['AWS_REGION', 'AWS_DEFAULT_REGION'],
  // how programs of languages behave
  ...['NODE_ENV', 'NODE_OPTIONS', 'NODE_PATH', 'NODE_NO_WARNINGS', 'RUST_LOG', 'RUST_BACKTRACE'],
  ...['JAVA_TOOL_OPTIONS', 'PERL5LIB', 'RUBYLIB', 'RUBYOPT', 'CI', 'GITHUB_ACTIONS', 'GITLAB_CI'],
  // who commits
  ...['GIT_AUTHOR_NAME', 'GIT_AUTHOR_EMAIL', 'GIT_COMMITTER_NAME', 'GIT_COMMITTER_EMAIL'],
  ...['GIT_EDITOR', 'GIT_PAGER', 'GIT_TERMINAL_PROMPT'],
  // whom to trust
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE'],
  ...['CURL_CA_BUNDLE', 'NIX_SSL_CERT_FILE', 'GIT_SSL_CAINFO'],
  ...LIBPQ_SETTINGS,
]);

const FORMS: readonly RegExp[] = [
  /^LC_[A-Z]+$/,
  /^PYTHON[A-Z0-9]+$/,
  // Which model an agent asks, and where; not with what key.
  /^(ANTHROPIC|CLAUDE_CODE|OPENAI|CODEX|GEMINI|QWEN|OPENCODE|COPILOT|AIDER)_(\w+_)?(MODEL|BASE_URL)$/,
];

/** Keys of agents: whoever runs one wants to know that it is not there. */
const AGENT_KEY =
  /^((ANTHROPIC|OPENAI|GEMINI|GOOGLE|OPENROUTER|MISTRAL|GROQ|DEEPSEEK|XAI|DASHSCOPE|QWEN|CODEX|CURSOR|AZURE_OPENAI|COHERE|TOGETHER)_(API_KEY|AUTH_TOKEN|ACCESS_TOKEN)|CLAUDE_CODE_OAUTH_TOKEN|COPILOT_(GITHUB_)?TOKEN)$/;

/** Of a list of options: `-Dhttp.proxyPassword=…`; that of a trust store opens nothing. */
const SECRET_OPTION = /(?<!trustStore)(password|passwd|secret|token|api_?key)\b[^\s=/]*=/i;
/** Variables that make was given on its command line stand behind two hyphens. */
const GIVEN_TO_MAKE = /(^|\s)--\s/;

export function isLetIn(name: string, value = ''): boolean {
  if (/FLAGS$|OPT(ION)?S?$/.test(name) && SECRET_OPTION.test(value)) return false;
  if (name === 'MAKEFLAGS' && GIVEN_TO_MAKE.test(value)) return false;
  return NAMES.has(name) || FORMS.some((form) => form.test(name));
}

export function isAgentKey(name: string): boolean {
  return AGENT_KEY.test(name);
}
