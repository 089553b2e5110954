#!/usr/bin/env bash
# Puts hoop on the PATH of the steps that follow.
set -euo pipefail

if [[ -z "${HOOP_PACKAGE:-}" ]]; then
  if ! command -v hoop >/dev/null; then
    echo "::error title=hoop::hoop is not installed; name a package in the input \"package\""
    exit 1
  fi
else
  prefix="$RUNNER_TEMP/hoop"
  # Without install scripts: hoop needs none, and what it depends on gets no chance to run any here.
  npm install --global --prefix "$prefix" --ignore-scripts --no-audit --no-fund --loglevel=error \
    -- "$HOOP_PACKAGE"
  echo "$prefix/bin" >> "$GITHUB_PATH"
  PATH="$prefix/bin:$PATH"
fi
hoop --version
