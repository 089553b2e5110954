#!/usr/bin/env bash
# Installs hoop for the steps that follow.
set -euo pipefail

if [[ -z "${HOOP_PACKAGE:-}" ]]; then
  if ! command -v hoop >/dev/null; then
    echo "::error title=hoop::hoop is not installed. Name a package in the input \"package\""
    exit 1
  fi
else
  prefix="$RUNNER_TEMP/hoop"
  mkdir -p "$prefix"
  # npm fetches URLs, files and registry names alike, with the credentials of the runner's .npmrc.
  file="$prefix/$(npm pack --silent --ignore-scripts --pack-destination "$prefix" -- "$HOOP_PACKAGE")"
  if [[ -n "${HOOP_PACKAGE_SHA256:-}" ]]; then
    sum=(sha256sum)
    command -v sha256sum >/dev/null || sum=(shasum -a 256)
    if ! echo "$HOOP_PACKAGE_SHA256  $file" | "${sum[@]}" --check --status -; then
      echo "::error title=hoop::the package does not have the SHA-256 of the input \"package-sha256\""
      exit 1
    fi
  else
    echo "::warning title=hoop::the package was not checked. Set the input \"package-sha256\""
  fi
  # Install scripts of dependencies must not run here, and hoop needs none.
  npm install --global --prefix "$prefix" --ignore-scripts --no-audit --no-fund --loglevel=error \
    -- "$file"
  echo "$prefix/bin" >> "$GITHUB_PATH"
  PATH="$prefix/bin:$PATH"
fi
hoop --version
