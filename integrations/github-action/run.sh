#!/usr/bin/env bash
# Runs the commands of the job under hoop, and ends with their status.
# -f: a target is a name, also when files here would fit it as a pattern.
set -euf -o pipefail

script="$(mktemp "$RUNNER_TEMP/hoop-run-XXXXXX")"
trap 'rm -f "$script"' EXIT
printf '%s\n' "$HOOP_INPUT_RUN" > "$script"

arguments=(run)
for target in $HOOP_INPUT_TARGETS; do
  arguments+=(--target "$target")
done
if [[ -n "$HOOP_INPUT_AGENT" ]]; then
  arguments+=(--agent "$HOOP_INPUT_AGENT")
fi
if [[ -n "$HOOP_INPUT_REASON" ]]; then
  arguments+=(--reason "$HOOP_INPUT_REASON")
fi
# An input that is not given arrives as an empty variable, which is not the same as an unset one.
for name in HOOP_CA HOOP_GATEWAY_KEY; do
  if [[ -z "${!name:-}" ]]; then
    unset "$name"
  fi
done
unset HOOP_INPUT_RUN HOOP_INPUT_TARGETS HOOP_INPUT_AGENT HOOP_INPUT_REASON

status=0
# The same shell as that of a step.
hoop "${arguments[@]}" -- bash --noprofile --norc -eo pipefail "$script" || status=$?
echo "status=$status" >> "$GITHUB_OUTPUT"
exit "$status"
