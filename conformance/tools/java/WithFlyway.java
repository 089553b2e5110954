import java.util.Arrays;
import java.util.Map;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.configuration.FluentConfiguration;

/** Flyway: migrate, info, validate, repair, baseline, clean, in the schema scratch. */
final class WithFlyway {
  public static void main(String[] arguments) {
    Flyway flyway = configured().locations("classpath:migrations/flyway").load();
    Say.attempt("info before", () -> shown(flyway));
    Say.attempt("migrate", () -> flyway.migrate().migrationsExecuted);
    Say.attempt("info", () -> shown(flyway));
    Say.attempt("migrate again", () -> flyway.migrate().migrationsExecuted);
    Say.attempt("validate", () -> flyway.validateWithResult().validationSuccessful);
    Say.attempt("repair", () -> flyway.repair().repairActions);
    Say.attempt("clean", () -> flyway.clean().schemasCleaned);
    Flyway old = configured().locations("classpath:migrations/flyway").baselineVersion("1").baselineOnMigrate(true).table("history").load();
    Say.attempt("baseline", () -> old.baseline().baselineVersion);
    Say.attempt("info of baseline", () -> shown(old));
    Say.attempt("clean again", () -> old.clean().schemasCleaned);
  }

  private static FluentConfiguration configured() {
    return Flyway.configure().dataSource(Say.url(), Say.env("PGUSER"), Say.env("PGPASSWORD"))
        // Its own lock would keep CREATE INDEX CONCURRENTLY waiting.
        .configuration(Map.of("flyway.postgresql.transactional.lock", "false"))
        .schemas("scratch").defaultSchema("scratch").createSchemas(false).cleanDisabled(false);
  }

  private static Object shown(Flyway flyway) {
    return Arrays.stream(flyway.info().all()).map(one -> one.getVersion() + " " + one.getDescription() + " " + one.getState()).toList();
  }

  private WithFlyway() {}
}
