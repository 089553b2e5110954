#!/usr/bin/env bash
# Any system that can put a token of its identity provider into a file.
set -euo pipefail

export HOOP_GATEWAY=https://hoop.example.com
export HOOP_GATEWAY_KEY=SHA256:FINGERPRINT # hoop login shows it
export HOOP_IDENTITY_TOKEN_FILE=/run/secrets/hoop/token
export HOOP_SUMMARY="${HOOP_SUMMARY:-hoop-summary.md}"

hoop doctor
hoop run --target prod-db --reason "nightly report" -- psql -v ON_ERROR_STOP=1 -f report.sql
