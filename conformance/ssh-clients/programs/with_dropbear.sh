# dropbear's dbclient.
. ./steps.sh
key=$PLACE/.key
dropbearconvert openssh dropbear "$KEY" "$key" 2>/dev/null
on() { dbclient -y -y -i "$key" -p "$PORT" "$@"; }
run_steps on "$LOGIN@$HOST"
status=0
# It takes no terminal from a pipe.
typed="stty cols 100 rows 30; stty size; test -t 0 && echo a-\$TERM; exit 5"
shown=$(echo "$typed" | TERM=xterm script -qec "dbclient -y -y -i $key -p $PORT $LOGIN@$HOST" /dev/null) || status=$?
say_shell $status "$shown"
on -B "127.0.0.1:$ECHO" "$LOGIN@$HOST" <"$QUESTION" 2>/dev/null | say_forward
