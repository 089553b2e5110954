import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.FetchType;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.JoinColumn;
import jakarta.persistence.ManyToOne;
import jakarta.persistence.OneToMany;
import jakarta.persistence.Table;
import java.math.BigDecimal;
import java.util.List;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.DynamicUpdate;
import org.hibernate.cfg.Configuration;

/** Hibernate: validation, HQL, fetch joins, lazy loading, save, merge, its own schema in scratch. */
final class WithHibernate {
  @Entity(name = "Customer") @Table(name = "customers", schema = "public") @DynamicUpdate
  static class Customer {
    @Id @GeneratedValue(strategy = GenerationType.IDENTITY) Integer id;
    @Column(columnDefinition = "text") String name;
    @Column(columnDefinition = "text") String email;
    @Column(columnDefinition = "text") String notes;
    @OneToMany(mappedBy = "customer") List<Order> orders;
  }

  @Entity(name = "Order") @Table(name = "orders", schema = "public")
  static class Order {
    @Id @GeneratedValue(strategy = GenerationType.IDENTITY) Long id;
    @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "customer_id") Customer customer;
    @Column(precision = 12, scale = 2) BigDecimal total;
  }

  @Entity(name = "Product") @Table(name = "products", schema = "public")
  static class Product {
    @Id @GeneratedValue(strategy = GenerationType.SEQUENCE, generator = "products_id_seq")
    @jakarta.persistence.SequenceGenerator(name = "products_id_seq", sequenceName = "public.products_id_seq", allocationSize = 1) Integer id;
    @Column(length = 20) String sku;
    @Column(columnDefinition = "text") String title;
    @Column(precision = 10, scale = 2) BigDecimal price;
    int stock;
  }

  @Entity(name = "Task") @Table(name = "tasks", schema = "scratch")
  static class Task {
    @Id @GeneratedValue Long id;
    @Column(unique = true, nullable = false) String name;
    @ManyToOne Task parent;
  }

  public static void main(String[] arguments) {
    SessionFactory factory = new Configuration()
        .setProperty("hibernate.connection.url", Say.url()).setProperty("hibernate.connection.username", Say.env("PGUSER"))
        .setProperty("hibernate.connection.password", Say.env("PGPASSWORD")).setProperty("hibernate.hbm2ddl.auto", "update")
        .setProperty("hibernate.default_schema", "scratch").setProperty("hibernate.jdbc.batch_size", "10")
        .addAnnotatedClass(Customer.class).addAnnotatedClass(Order.class).addAnnotatedClass(Product.class).addAnnotatedClass(Task.class)
        .buildSessionFactory();
    Say.attempt("find", () -> factory.fromSession(s -> { Customer c = s.find(Customer.class, 2); return List.of(c.name, c.email, c.orders.size()); }));
    Say.attempt("fetch join", () -> factory.fromSession(s -> s.createQuery("select o from Order o join fetch o.customer order by o.id", Order.class).setMaxResults(3).list().stream().map(o -> o.id + " " + o.customer.name + " " + o.customer.email).toList()));
    Say.attempt("lookup", () -> factory.fromSession(s -> s.createQuery("select c.id from Customer c where c.email = :e", Integer.class).setParameter("e", "customer4@shop.example").list()));
    Say.attempt("count", () -> factory.fromSession(s -> s.createQuery("select count(o), sum(o.total) from Order o", Object[].class).getSingleResult()));
    Say.attempt("persist", () -> factory.fromTransaction(s -> { Order o = new Order(); o.customer = s.getReference(Customer.class, 3); o.total = BigDecimal.ONE; s.persist(o); s.flush(); s.remove(o); return o.id > 0; }));
    Say.attempt("persist with a sequence", () -> factory.fromTransaction(s -> { Product p = new Product(); p.sku = "H-1"; p.title = "x"; p.price = BigDecimal.TEN; s.persist(p); return p.id > 0; }));
    Say.attempt("change a name", () -> factory.fromTransaction(s -> { s.find(Customer.class, 5).name = "Renamed"; return "ok"; }));
    Say.attempt("change what a detector found", () -> factory.fromTransaction(s -> { Customer c = s.find(Customer.class, 7); c.notes = c.notes + "!"; return "ok"; }));
    Say.attempt("merge", () -> { Product p = factory.fromSession(s -> s.find(Product.class, 2)); p.stock = 5; return factory.fromTransaction(s -> s.merge(p).stock); });
    Say.attempt("batch", () -> factory.fromTransaction(s -> { for (int i = 0; i < 15; i++) { Task t = new Task(); t.name = "t" + i; s.persist(t); } return "ok"; }));
    Say.attempt("update by query", () -> factory.fromTransaction(s -> s.createMutationQuery("update Product set stock = stock + 1 where id < 4").executeUpdate()));
    Say.attempt("duplicate", () -> factory.fromTransaction(s -> { Task t = new Task(); t.name = "t1"; s.persist(t); s.flush(); return "ok"; }));
    Say.attempt("drop", () -> { factory.getSchemaManager(); return factory.fromTransaction(s -> s.createNativeMutationQuery("drop table scratch.tasks").executeUpdate()); });
    factory.close();
  }

  private WithHibernate() {}
}
