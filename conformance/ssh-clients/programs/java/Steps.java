import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/** What the programs in Java share: what to do, how it is said. */
final class Steps {
  static final String HOST = System.getenv("HOST");
  static final int PORT = Integer.parseInt(System.getenv("PORT"));
  static final String LOGIN = System.getenv("LOGIN");
  static final String KEY = System.getenv("KEY");
  static final String COMMAND = System.getenv("COMMAND");
  static final String OUTPUT_COMMAND = System.getenv("OUTPUT_COMMAND");
  static final String PLACE = System.getenv("PLACE");
  static final String FILE = PLACE + "/file";
  static final int ECHO = Integer.parseInt(System.getenv("ECHO"));
  static final String TYPED = "stty size; test -t 0 && echo a-$TERM; exit 5\n";

  static byte[] input() throws Exception {
    return Files.readAllBytes(Path.of(System.getenv("INPUT")));
  }

  static String digest(byte[] data) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
  }

  static String text(byte[] data) {
    return new String(data, StandardCharsets.UTF_8).trim();
  }

  static void say(String step, Object... values) {
    System.out.println(step + ": " + Arrays.stream(values).map(String::valueOf).collect(Collectors.joining(" ")));
  }

  static void sayShell(int status, String shown) {
    say("shell", status, yes(shown.contains("30 100")), yes(shown.contains("a-xterm")));
  }

  static void saySftp(byte[] read, List<String> names, long size) throws Exception {
    String list = names.stream().filter(name -> !name.startsWith(".")).map(name -> "'" + name + "'").collect(Collectors.joining(", "));
    say("sftp", digest(read), "[" + list + "]", size);
  }

  private static String yes(boolean value) {
    return value ? "True" : "False";
  }
}
