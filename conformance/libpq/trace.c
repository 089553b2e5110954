/*
 * Fixed conversations with a server, each on a connection of its own, and what PQtrace says of them:
 * every message in the order in which libpq sent or read it. libpq-fe.h of 14 or later.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define BINARY 1
#define TEXT 0

static void quiet(void *arg, const char *message) { (void)arg, (void)message; }

static PGconn *finish_connecting(PGconn *conn) {
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(PQsocket(conn), &ready);
    int reads = status == PGRES_POLLING_READING;
    select(PQsocket(conn) + 1, reads ? &ready : NULL, reads ? NULL : &ready, NULL, NULL);
    status = PQconnectPoll(conn);
  }
  if (PQstatus(conn) != CONNECTION_OK) {
    fprintf(stderr, "%s", PQerrorMessage(conn));
    exit(2);
  }
  PQsetNoticeProcessor(conn, quiet, NULL);
  return conn;
}

static PGconn *connect_quietly(void) { return finish_connecting(PQconnectStart("")); }

static PGconn *begin(const char *name) {
  printf("== %s\n", name);
  PGconn *conn = PQconnectStart("");
  PQtrace(conn, stdout);
  PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS | PQTRACE_REGRESS_MODE);
  return finish_connecting(conn);
}

static void end(PGconn *conn) {
  PQuntrace(conn);
  PQfinish(conn);
}

static void run(PGconn *conn, const char *sql) { PQclear(PQexec(conn, sql)); }

/* Reads to the end of one statement. */
static void drain(PGconn *conn) {
  PGresult *result;
  while ((result = PQgetResult(conn)) != NULL) PQclear(result);
}

static void with_parameters(PGconn *conn, const char *sql, int count, const char *const *values,
                            int format) {
  PQclear(PQexecParams(conn, sql, count, NULL, values, NULL, NULL, format));
}

static const char *const SIMPLE[] = {
    "SELECT 1 AS one, NULL AS nothing, 'text' AS t",
    "",
    " ; -- nothing\n",
    "SELECT 1; SELECT 2 AS two; SELECT 3 WHERE false",
    "DROP TABLE IF EXISTS traced",
    "CREATE TABLE traced (id int PRIMARY KEY, t text, CHECK (t <> 'bad'))",
    "INSERT INTO traced SELECT i, repeat('x', 40) FROM generate_series(1, 400) i",
    "SELECT * FROM traced",
    "SELECT FROM traced LIMIT 2",
    "SELEC 1",
    "SELECT nothing FROM traced",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "INSERT INTO traced VALUES (1000, 'good'); INSERT INTO traced VALUES (1001, 'bad')",
    "SELECT count(*) FROM traced",
    "INSERT INTO traced VALUES (1, 'twice')",
    "BEGIN",
    "BEGIN",
    "SELECT 1/0",
    "SELECT 1",
    "COMMIT",
    "COMMIT",
    "BEGIN; SAVEPOINT a; SELECT 1/0",
    "ROLLBACK TO a; SELECT 'again'",
    "END",
    "SET application_name = 'traced'; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'",
    "RESET TimeZone",
    "SHOW DateStyle",
    "PREPARE p(int) AS SELECT $1 + 1",
    "EXECUTE p(41)",
    "DEALLOCATE p",
    "EXECUTE p(41)",
    "EXPLAIN (COSTS OFF) SELECT * FROM traced WHERE id = 1",
    "DISCARD ALL",
};

static void simple(void) {
  PGconn *conn = begin("simple");
  for (size_t i = 0; i < sizeof SIMPLE / sizeof *SIMPLE; i++) run(conn, SIMPLE[i]);
  end(conn);
}

static void notices(void) {
  PGconn *conn = begin("notices");
  run(conn, "SET client_min_messages = debug1");
  run(conn, "DO $$ BEGIN RAISE DEBUG 'd'; RAISE LOG 'l'; RAISE INFO 'i'; RAISE NOTICE 'n'; RAISE "
            "WARNING 'w' USING DETAIL = 'more', HINT = 'less'; END $$");
  run(conn, "DO $$ BEGIN RAISE NOTICE 'before'; RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = "
            "'own', DETAIL = 'd', HINT = 'h', TABLE = 't', COLUMN = 'c'; END $$");
  run(conn, "LISTEN traced");
  run(conn, "NOTIFY traced, 'to itself'");
  run(conn, "BEGIN; NOTIFY traced, 'a'; NOTIFY traced, 'a'; NOTIFY traced, 'b'; COMMIT");
  PGconn *other = connect_quietly();
  run(other, "NOTIFY traced, 'while idle'");
  for (PGnotify *heard = NULL; heard == NULL || strcmp(heard->extra, "while idle") != 0;) {
    PQfreemem(heard);
    heard = PQnotifies(conn);
    if (heard != NULL) continue;
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(PQsocket(conn), &readable);
    select(PQsocket(conn) + 1, &readable, NULL, NULL, NULL);
    if (!PQconsumeInput(conn)) break;
  }
  PQfinish(other);
  end(conn);
}

static void extended(void) {
  PGconn *conn = begin("extended");
  const char *const two[] = {"7", NULL};
  const char *const wrong[] = {"seven", "x"};
  with_parameters(conn, "SELECT $1::int + 1 AS v, $2::text AS t", 2, two, TEXT);
  with_parameters(conn, "SELECT $1::int + 1 AS v, $2::text AS t", 2, two, BINARY);
  with_parameters(conn, "SELECT $1::int + 1 AS v, $2::text AS t", 2, wrong, TEXT);
  with_parameters(conn, "SELECT $1::int", 2, two, TEXT);
  with_parameters(conn, "SELECT 1; SELECT 2", 0, NULL, TEXT);
  with_parameters(conn, "SELECT 1/$1::int", 1, (const char *const[]){"0"}, TEXT);
  with_parameters(conn, "SELEC $1", 1, two, TEXT);
  with_parameters(conn, "", 0, NULL, TEXT);
  with_parameters(conn, "SELECT", 0, NULL, BINARY);
  with_parameters(conn, "SELECT g, g::text FROM generate_series(1, 300) g", 0, NULL, BINARY);
  PQclear(PQprepare(conn, "named", "SELECT $1::int AS i, $2::timestamptz AS at", 0, NULL));
  PQclear(PQprepare(conn, "named", "SELECT 2", 0, NULL));
  PQclear(PQprepare(conn, "bad", "SELECT nothing FROM nowhere", 0, NULL));
  PQclear(PQdescribePrepared(conn, "named"));
  PQclear(PQdescribePrepared(conn, "bad"));
  PQclear(PQexecPrepared(conn, "named", 2, two, NULL, NULL, TEXT));
  PQclear(PQexecPrepared(conn, "named", 2, wrong, NULL, NULL, TEXT));
  PQclear(PQexecPrepared(conn, "named", 1, two, NULL, NULL, TEXT));
  PQclear(PQexecPrepared(conn, "bad", 0, NULL, NULL, NULL, TEXT));
  run(conn, "DEALLOCATE named");
  PQclear(PQexecPrepared(conn, "named", 2, two, NULL, NULL, TEXT));
  run(conn, "BEGIN; DECLARE c CURSOR FOR SELECT g AS i FROM generate_series(1, 10) g");
  PQclear(PQdescribePortal(conn, "c"));
  run(conn, "FETCH 3 FROM c");
  run(conn, "MOVE 2 IN c; CLOSE c");
  PQclear(PQdescribePortal(conn, "c"));
  with_parameters(conn, "SELECT 1", 0, NULL, TEXT);
  run(conn, "ROLLBACK");
  PQsendQueryParams(conn, "SELECT g FROM generate_series(1, 20) g", 0, NULL, NULL, NULL, NULL, TEXT);
  PQsetSingleRowMode(conn);
  drain(conn);
  PQsendQuery(conn, "SELECT 1/(3 - g) FROM generate_series(1, 5) g; SELECT 1");
  PQsetSingleRowMode(conn);
  drain(conn);
  end(conn);
}

static void send(PGconn *conn, const char *sql) {
  PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, TEXT);
}

/* Reads the results of so many statements and synchronization points. */
static void collect(PGconn *conn, int count) {
  for (int i = 0; i < count; i++) {
    PGresult *result = PQgetResult(conn);
    int is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    if (!is_sync) drain(conn);
  }
}

static void pipeline(void) {
  PGconn *conn = begin("pipeline");
  PQenterPipelineMode(conn);
  send(conn, "CREATE TEMP TABLE piped (id int PRIMARY KEY)");
  send(conn, "INSERT INTO piped SELECT generate_series(1, 5)");
  send(conn, "SELECT * FROM piped ORDER BY id");
  PQpipelineSync(conn);
  collect(conn, 4);
  send(conn, "SELECT 1");
  send(conn, "SELECT 1/0");
  send(conn, "SELECT 2");
  PQpipelineSync(conn);
  send(conn, "SELEC 3");
  send(conn, "SELECT 4");
  PQpipelineSync(conn);
  send(conn, "SELECT 5");
  PQpipelineSync(conn);
  collect(conn, 9);
  send(conn, "INSERT INTO piped VALUES (6)");
  send(conn, "INSERT INTO piped VALUES (6)");
  PQpipelineSync(conn);
  send(conn, "SELECT count(*) FROM piped");
  PQpipelineSync(conn);
  collect(conn, 5);
  send(conn, "BEGIN");
  send(conn, "SELECT 1");
  PQsendFlushRequest(conn);
  PQflush(conn);
  collect(conn, 2);
  PQsendPrepare(conn, "in pipeline", "SELECT $1::int AS v", 0, NULL);
  PQsendDescribePrepared(conn, "in pipeline");
  PQsendQueryPrepared(conn, "in pipeline", 1, (const char *const[]){"9"}, NULL, NULL, BINARY);
  send(conn, "SAVEPOINT s");
  send(conn, "SELECT nothing");
  PQpipelineSync(conn);
  collect(conn, 6);
  send(conn, "ROLLBACK TO s");
  send(conn, "COMMIT");
  PQpipelineSync(conn);
  PQpipelineSync(conn);
  collect(conn, 4);
  PQexitPipelineMode(conn);
  run(conn, "SELECT 'after'");
  end(conn);
}

static void copy_in(PGconn *conn, const char *sql, const char *data, const char *failure) {
  run(conn, sql);
  PQputCopyData(conn, data, (int)strlen(data));
  PQputCopyEnd(conn, failure);
  drain(conn);
}

static void copy_out(PGconn *conn, const char *sql) {
  char *row;
  run(conn, sql);
  while (PQgetCopyData(conn, &row, 0) > 0) PQfreemem(row);
  drain(conn);
}

static void copy(void) {
  PGconn *conn = begin("copy");
  run(conn, "CREATE TEMP TABLE copied (id int, t text)");
  copy_in(conn, "COPY copied FROM STDIN", "1\ta\n2\t\\N\n", NULL);
  copy_in(conn, "COPY copied FROM STDIN (FORMAT csv)", "3,c\n", NULL);
  copy_in(conn, "COPY copied FROM STDIN", "four\td\n", NULL);
  copy_in(conn, "COPY copied FROM STDIN", "5\te\n", "the client has changed its mind");
  copy_in(conn, "COPY copied FROM STDIN", "", NULL);
  copy_out(conn, "COPY copied TO STDOUT");
  copy_out(conn, "COPY (SELECT 1, 'x' WHERE false) TO STDOUT");
  copy_out(conn, "COPY (SELECT g, 1/(3 - g) FROM generate_series(1, 5) g) TO STDOUT");
  copy_out(conn, "COPY nowhere TO STDOUT");
  run(conn, "BEGIN");
  copy_in(conn, "COPY copied FROM STDIN", "6\tf\n7\n", NULL);
  copy_out(conn, "COPY copied TO STDOUT");
  run(conn, "ROLLBACK");
  run(conn, "SELECT 1; COPY copied TO STDOUT; SELECT 2");
  copy_out(conn, "SELECT count(*) FROM copied");
  PQsendQueryParams(conn, "COPY copied FROM STDIN", 0, NULL, NULL, NULL, NULL, TEXT);
  PQclear(PQgetResult(conn));
  PQputCopyData(conn, "8\th\n", 4);
  PQputCopyEnd(conn, NULL);
  drain(conn);
  end(conn);
}

/* When the statement has begun to wait: a request that comes before it is lost by the protocol. */
static void wait_for_sleep(PGconn *other) {
  for (int begun = 0; !begun;) {
    PGresult *result = PQexec(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    begun = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "0") != 0;
    PQclear(result);
    if (!begun) usleep(5000);
  }
}

static void request_cancel(PGconn *conn) {
  char error[256];
  PGcancel *cancel = PQgetCancel(conn);
  printf("cancel: %s\n", PQcancel(cancel, error, sizeof error) ? "sent" : error);
  PQfreeCancel(cancel);
}

static void cancel(void) {
  PGconn *conn = begin("cancel");
  PGconn *other = connect_quietly();
  PQsendQuery(conn, "SELECT 1; SELECT pg_sleep(60); SELECT 2");
  wait_for_sleep(other);
  request_cancel(conn);
  drain(conn);
  run(conn, "BEGIN");
  send(conn, "SELECT pg_sleep(60)");
  wait_for_sleep(other);
  request_cancel(conn);
  drain(conn);
  run(conn, "SELECT 1");
  run(conn, "ROLLBACK");
  request_cancel(conn);
  run(conn, "SET statement_timeout = 50");
  run(conn, "SELECT pg_sleep(60)");
  PQfinish(other);
  end(conn);
}

static void function_call(void) {
  PGconn *conn = begin("function call");
  int length = 0;
  int value = 0;
  PQArgBlock argument = {.len = 4, .isint = 1, .u.integer = -41};
  const int INT4ABS = 1397;
  PQclear(PQfn(conn, INT4ABS, &value, &length, 1, &argument, 1));
  PQclear(PQfn(conn, 1, &value, &length, 1, &argument, 1));
  run(conn, "SELECT 1");
  end(conn);
}

int main(void) {
  simple();
  notices();
  extended();
  pipeline();
  copy();
  cancel();
  function_call();
  return 0;
}
