import static org.jooq.impl.DSL.count;
import static org.jooq.impl.DSL.field;
import static org.jooq.impl.DSL.multiset;
import static org.jooq.impl.DSL.name;
import static org.jooq.impl.DSL.select;
import static org.jooq.impl.DSL.table;

import java.sql.DriverManager;
import org.jooq.DSLContext;
import org.jooq.SQLDialect;
import org.jooq.impl.DSL;
import org.jooq.impl.SQLDataType;

/** jOOQ: metadata, plain queries, MULTISET, DDL, batches, transactions. */
final class WithJooq {
  public static void main(String[] arguments) throws Exception {
    DSLContext db = DSL.using(DriverManager.getConnection(Say.url(), Say.env("PGUSER"), Say.env("PGPASSWORD")), SQLDialect.POSTGRES);
    var customers = table(name("public", "customers"));
    var orders = table(name("public", "orders"));
    var products = table(name("public", "products"));
    var id = field(name("id"), SQLDataType.INTEGER);
    var key = field(name("id"), SQLDataType.BIGINT);
    var customer = field(name("customer_id"), SQLDataType.INTEGER);
    var title = field(name("name"), SQLDataType.CLOB);
    var email = field(name("email"), SQLDataType.CLOB);
    Say.attempt("tables", () -> db.meta().filterSchemas(s -> s.getName().equals("public")).getTables().stream().map(t -> t.getName()).sorted().toList());
    Say.attempt("keys", () -> db.meta().filterSchemas(s -> s.getName().equals("public")).getPrimaryKeys().size());
    Say.attempt("select", () -> db.select(id, title, email).from(customers).orderBy(id).limit(3).fetch().intoMaps());
    Say.attempt("lookup", () -> db.select(id).from(customers).where(email.eq("customer5@shop.example")).fetch().intoMaps());
    Say.attempt("exists", () -> db.fetchExists(customers, email.eq("customer5@shop.example")));
    Say.attempt("count", () -> db.fetchCount(customers));
    Say.attempt("multiset", () -> db.select(id, multiset(select(key).from(orders).where(customer.eq(field(name("public", "customers", "id"), SQLDataType.INTEGER))).orderBy(key)).as("orders")).from(customers).orderBy(id).limit(2).fetch().intoMaps());
    Say.attempt("group", () -> db.select(customer, count()).from(orders).groupBy(customer).orderBy(customer).limit(3).fetch().intoMaps());
    Say.attempt("insert", () -> db.insertInto(products, field("sku"), field("title"), field("price")).values("Q-1", "x", 1).returningResult(field(name("sku"), String.class)).fetch().intoMaps());
    Say.attempt("batch", () -> db.batch(db.query("insert into products (sku, title, price) values (?, ?, ?)", "a", "b", 1)).bind("Q-2", "x", 1).bind("Q-3", "y", 2).execute().length);
    Say.attempt("update", () -> db.update(products).set(field("stock", Integer.class), 3).where(field("sku", String.class).eq("Q-1")).execute());
    Say.attempt("merge", () -> db.insertInto(products, field("sku"), field("title"), field("price")).values("Q-1", "y", 1).onConflict(field(name("sku"))).doUpdate().set(field(name("title"), String.class), "y").execute());
    Say.attempt("duplicate", () -> db.insertInto(products, field("sku"), field("title"), field("price")).values("Q-1", "x", 1).execute());
    Say.attempt("transaction", () -> db.transactionResult(one -> { one.dsl().update(products).set(field("stock", Integer.class), 9).where(id.eq(1)).execute(); return one.dsl().fetchValue(select(field("stock", Integer.class)).from(products).where(id.eq(1))); }));
    Say.attempt("create table", () -> db.createTable(name("scratch", "q")).column("id", SQLDataType.INTEGER.identity(true)).column("t", SQLDataType.VARCHAR(9)).primaryKey("id").execute());
    Say.attempt("alter table", () -> db.alterTable(name("scratch", "q")).addColumn("n", SQLDataType.INTEGER).execute());
    Say.attempt("drop table", () -> db.dropTable(name("scratch", "q")).execute());
    Say.attempt("missing table", () -> db.fetch("select * from nowhere"));
  }

  private WithJooq() {}
}
