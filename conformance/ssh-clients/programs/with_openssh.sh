# OpenSSH's ssh, scp (both protocols) and sftp.
. ./steps.sh
on() { ssh -F "$CONFIG" "$@"; }
run_steps on web-1
status=0
shown=$(printf 'stty cols 100 rows 30; stty size; test -t 0 && echo a-$TERM; exit 5\n' | TERM=xterm on -tt web-1) || status=$?
say_shell $status "$shown"
printf 'put %s %s/file.new\nrename %s/file.new %s/file\n' "$INPUT" "$PLACE" "$PLACE" "$PLACE" | sftp -q -b - -F "$CONFIG" web-1 >/dev/null
scp -q -F "$CONFIG" "web-1:$PLACE/file" "$PLACE/back"
scp -q -O -F "$CONFIG" "web-1:$PLACE/file" "$PLACE/old"
say_files
on -W "127.0.0.1:$ECHO" web-1 <"$QUESTION" | say_forward
