import java.io.PrintStream;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/** What the programs share: a case each, its result or its error, one line of JSON. */
final class Say {
  private static final PrintStream OUT = System.out;

  static {
    // What a tool itself prints there is no case.
    System.setOut(System.err);
  }

  static void attempt(String name, Callable<?> work) {
    String line;
    try {
      line = "\"result\":" + json(work.call());
    } catch (Throwable thrown) {
      Throwable error = thrown;
      String code = null;
      for (Throwable one = thrown; one != null && one != one.getCause(); one = one.getCause()) {
        error = one;
        if (one instanceof SQLException sql) code = sql.getSQLState();
      }
      String message = String.valueOf(error.getMessage()).trim();
      line = "\"error\":{\"type\":" + json(error.getClass().getSimpleName()) + ",\"code\":" + json(code)
          + ",\"message\":" + json(Arrays.asList(message.split("\n"))) + "}";
    }
    OUT.println("{\"name\":" + json(name) + "," + line + "}");
    OUT.flush();
  }

  static String url() {
    return "jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE") + "?sslmode=disable";
  }

  static String env(String name) {
    return System.getenv(name);
  }

  private static String json(Object value) {
    if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) return String.valueOf(value);
    if (value instanceof Object[] array) return json(Arrays.asList(array));
    if (value instanceof Collection<?> list) return list.stream().map(Say::json).collect(Collectors.joining(",", "[", "]"));
    if (value instanceof Map<?, ?> map) return map.entrySet().stream().map(e -> json(String.valueOf(e.getKey())) + ":" + json(e.getValue())).collect(Collectors.joining(",", "{", "}"));
    StringBuilder text = new StringBuilder("\"");
    for (char c : String.valueOf(value).toCharArray()) {
      if (c == '"' || c == '\\') text.append('\\').append(c);
      else if (c < ' ') text.append(String.format("\\u%04x", (int) c));
      else text.append(c);
    }
    return text.append('"').toString();
  }

  private Say() {}
}
