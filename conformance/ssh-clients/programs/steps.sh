# What the programs of the shell share. A program's `run` is given a command last.
set -eu
QUESTION=$PLACE/.question
printf through >"$QUESTION"

# run_steps WORD…: the words that run a command.
run_steps() {
  status=0
  out=$("$@" "$COMMAND" 2>"$PLACE/.err" </dev/null) || status=$?
  echo "exec: $status $out $(cat "$PLACE/.err")"
  echo "input: $("$@" sha256sum <"$INPUT")"
  echo "output: $("$@" "$OUTPUT_COMMAND" </dev/null | sha256)"
}

sha256() { sha256sum | cut -d' ' -f1; }

has() { case $1 in *"$2"*) echo True ;; *) echo False ;; esac; }

# say_shell STATUS SHOWN
say_shell() { echo "shell: $1 $(has "$2" '30 100') $(has "$2" a-xterm)"; }

# Of the file there, and of what came back as `back` (and whatever else is there).
say_files() {
  for file in "$PLACE"/*; do
    echo "sftp: $(basename "$file") $(sha256 <"$file")"
  done
  rm "$PLACE"/*
}

say_forward() { echo "forward: $(head -c 7)"; }
