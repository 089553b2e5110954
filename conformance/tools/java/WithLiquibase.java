import java.sql.DriverManager;
import liquibase.Contexts;
import liquibase.LabelExpression;
import liquibase.Liquibase;
import liquibase.database.Database;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.resource.ClassLoaderResourceAccessor;

/** Liquibase: update, status, tag, rollback, drop all, in the schema scratch. */
final class WithLiquibase {
  public static void main(String[] arguments) throws Exception {
    Database database = DatabaseFactory.getInstance().findCorrectDatabaseImplementation(
        new JdbcConnection(DriverManager.getConnection(Say.url(), Say.env("PGUSER"), Say.env("PGPASSWORD"))));
    database.setDefaultSchemaName("scratch");
    database.setLiquibaseSchemaName("scratch");
    Liquibase liquibase = new Liquibase("migrations/liquibase/changes.xml", new ClassLoaderResourceAccessor(), database);
    Contexts all = new Contexts();
    LabelExpression labels = new LabelExpression();
    Say.attempt("waiting", () -> liquibase.listUnrunChangeSets(all, labels).size());
    Say.attempt("update", () -> { liquibase.update(all, labels); return "ok"; });
    Say.attempt("waiting after", () -> liquibase.listUnrunChangeSets(all, labels).size());
    Say.attempt("update again", () -> { liquibase.update(all, labels); return "ok"; });
    Say.attempt("validate", () -> { liquibase.validate(); return "ok"; });
    Say.attempt("tag", () -> { liquibase.tag("one"); return liquibase.tagExists("one"); });
    Say.attempt("rollback", () -> { liquibase.rollback(2, null, all, labels); return "ok"; });
    Say.attempt("drop all", () -> { liquibase.dropAll(); return "ok"; });
    database.close();
  }

  private WithLiquibase() {}
}
