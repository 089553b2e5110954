# PuTTY's plink, psftp and pscp.
. ./steps.sh
key=$PLACE/.key.ppk
puttygen "$KEY" -O private -o "$key" --new-passphrase /dev/null 2>/dev/null
on() { plink -ssh -batch -hostkey "$HOST_KEY" -i "$key" -P "$PORT" "$@"; }
run_steps on "$LOGIN@$HOST"
status=0
shown=$(printf 'stty cols 100 rows 30; stty size; test -t 0 && echo a-$TERM; exit 5\n' | TERM=xterm on -t "$LOGIN@$HOST" 2>/dev/null) || status=$?
say_shell $status "$shown"
printf 'put %s %s/file.new\nmv %s/file.new %s/file\nget %s/file %s/back\n' "$INPUT" "$PLACE" "$PLACE" "$PLACE" "$PLACE" "$PLACE" >"$PLACE/.batch"
psftp -batch -b "$PLACE/.batch" -hostkey "$HOST_KEY" -i "$key" -P "$PORT" "$LOGIN@$HOST" >/dev/null
pscp -q -scp -batch -hostkey "$HOST_KEY" -i "$key" -P "$PORT" "$LOGIN@$HOST:$PLACE/file" "$PLACE/old"
say_files
on -nc "127.0.0.1:$ECHO" "$LOGIN@$HOST" <"$QUESTION" | say_forward
