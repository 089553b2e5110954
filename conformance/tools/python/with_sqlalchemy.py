"""SQLAlchemy: reflection, Core, the ORM with relations, bulk work, its own schema in scratch."""

import os

from say import attempt
from sqlalchemy import (
    JSON, Column, ForeignKey, Index, Integer, MetaData, String, Table, case, create_engine, delete,
    exists, func, insert, inspect, select, text, update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import (
    DeclarativeBase, Session, joinedload, mapped_column, relationship, selectinload,
)

place = os.environ["DATABASE_URL"].split("://")[1]
for driver in ("psycopg", "psycopg2"):
    engine = create_engine(f"postgresql+{driver}://{place}", pool_size=2)

    def case_(name, work, driver=driver):
        return attempt(f"{driver}: {name}", work)

    def rows(statement, parameters=None, engine=engine):
        with engine.begin() as connection:
            return [list(row) for row in connection.execute(statement, parameters or {})]

    look = inspect(engine)
    case_("schemas", look.get_schema_names)
    case_("tables", lambda: sorted(look.get_table_names("public")))
    case_("views", lambda: look.get_view_names("public"))
    case_("columns", lambda: [[c["name"], str(c["type"]), c["nullable"], c["default"]] for c in look.get_columns("customers")])
    case_("keys", lambda: [look.get_pk_constraint("order_lines"), look.get_foreign_keys("orders"), look.get_unique_constraints("customers")])
    case_("indexes", lambda: sorted(i["name"] for i in look.get_indexes("orders")))
    case_("checks", lambda: look.get_check_constraints("products"))
    case_("enums", lambda: look.get_enums())
    case_("comment", lambda: look.get_table_comment("customers"))
    case_("view definition", lambda: look.get_view_definition("customer_totals"))

    metadata = MetaData()
    case_("reflect all", lambda: metadata.reflect(engine) or sorted(metadata.tables))
    orders = Table("orders", metadata, autoload_with=engine)
    customers = Table("customers", metadata, autoload_with=engine)
    products = Table("products", metadata, autoload_with=engine)

    Base = automap_base()
    case_("automap", lambda: Base.prepare(autoload_with=engine) or sorted(Base.classes.keys()))

    case_("select", lambda: rows(select(customers).where(customers.c.id == 2)))
    case_("join", lambda: rows(select(orders.c.id, customers.c.name, customers.c.email).join(customers).order_by(orders.c.id).limit(3)))
    case_("by address", lambda: rows(select(customers.c.id).where(customers.c.email == "customer6@shop.example")))
    case_("is taken", lambda: rows(select(exists().where(customers.c.email == "customer6@shop.example"))))
    case_("group", lambda: rows(select(orders.c.state, func.count(), func.sum(orders.c.total)).group_by(orders.c.state).order_by(orders.c.state)))
    case_("case", lambda: rows(select(products.c.id, case((products.c.price > 5, "dear"), else_="cheap")).order_by(products.c.id).limit(5)))
    case_("window", lambda: rows(select(orders.c.id, func.row_number().over(partition_by=orders.c.state, order_by=orders.c.id)).order_by(orders.c.id).limit(4)))
    case_("cte", lambda: rows(select(func.count()).select_from(select(orders.c.id).where(orders.c.total > 10).cte("big"))))
    case_("insert", lambda: rows(insert(orders).values(customer_id=4, total=3).returning(orders.c.id, orders.c.state)))
    case_("insert many", lambda: rows(insert(products).returning(products.c.sku), [{"sku": f"{driver}-{i}", "title": "x", "price": i} for i in range(30)])[-1])
    case_("upsert", lambda: rows(upsert(products).values(sku="SKU-1", title="One", price=1).on_conflict_do_update(index_elements=["sku"], set_={"title": "One"}).returning(products.c.title)))
    case_("update", lambda: rows(update(orders).where(orders.c.id == 6).values(state="paid").returning(orders.c.id, orders.c.changes)))
    case_("delete", lambda: rows(delete(products).where(products.c.sku.like(f"{driver}-%")).returning(products.c.id)) and "ok")
    case_("duplicate", lambda: rows(insert(products).values(sku="SKU-2", title="x", price=1)))
    case_("missing table", lambda: rows(text("SELECT * FROM nowhere")))
    case_("stream", lambda: sum(1 for _ in engine.connect().execution_options(stream_results=True, max_row_buffer=5).execute(select(orders.c.id))))

    class Model(DeclarativeBase):
        pass

    class Customer(Model):
        __tablename__ = "customers"
        id = mapped_column(Integer, primary_key=True)
        name = mapped_column(String)
        email = mapped_column(String)
        notes = mapped_column(String)
        orders = relationship("Order", back_populates="customer", order_by="Order.id")

    class Order(Model):
        __tablename__ = "orders"
        id = mapped_column(Integer, primary_key=True)
        customer_id = mapped_column(ForeignKey("customers.id"))
        total = mapped_column(String)
        changes = mapped_column(Integer)
        customer = relationship(Customer, back_populates="orders")

    def session_(work, engine=engine):
        with Session(engine) as session:
            result = work(session)
            session.commit()
            return result

    def whole(customer):
        return [customer.id, customer.name, customer.email, customer.notes, [o.id for o in customer.orders]]

    case_("orm get", lambda: session_(lambda s: whole(s.get(Customer, 3))))
    case_("orm joined", lambda: session_(lambda s: [whole(c) for c in s.scalars(select(Customer).options(joinedload(Customer.orders)).order_by(Customer.id).limit(2)).unique()]))
    case_("orm selectin", lambda: session_(lambda s: [whole(c) for c in s.scalars(select(Customer).options(selectinload(Customer.orders)).order_by(Customer.id).limit(2))]))

    def rename(session):
        customer = session.get(Customer, 9)
        customer.name = "Renamed"
        session.flush()
        session.refresh(customer)
        return whole(customer)

    def rewrite(session):
        """As forms do: every field is set again, to what was read."""
        customer = session.get(Customer, 7)
        customer.notes = customer.notes + "!"
        session.flush()

    def order(session):
        added = Order(customer_id=2, total="7.50", changes=0)
        session.add(added)
        session.flush()
        number = added.id
        session.refresh(added)
        found = [added.customer.name, added.total]
        session.delete(added)
        return [number > 0, found]

    def bulk(session):
        session.add_all([Order(customer_id=1 + n, total="1", changes=0) for n in range(15)])
        session.flush()
        return session.execute(update(Order).where(Order.total == "1").values(changes=5)).rowcount

    case_("orm save", lambda: session_(rename))
    case_("orm save what was masked", lambda: session_(rewrite))
    case_("orm add and delete", lambda: session_(order))
    case_("orm bulk", lambda: session_(bulk))
    case_("orm count", lambda: session_(lambda s: s.scalar(select(func.count()).select_from(Customer))))

    def nested(session):
        session.execute(update(products).where(products.c.id == 2).values(stock=1))
        try:
            with session.begin_nested():
                session.execute(insert(products).values(sku="SKU-3", title="x", price=1))
        except Exception as error:  # noqa: BLE001
            found = type(error).__name__
        return [found, session.scalar(select(products.c.stock).where(products.c.id == 2))]

    case_("savepoint", lambda: session_(nested))

    own = MetaData(schema="scratch")
    authors = Table("authors", own, Column("id", Integer, primary_key=True), Column("name", String(50), nullable=False, unique=True), Column("data", JSON))
    books = Table("books", own, Column("id", Integer, primary_key=True), Column("author", ForeignKey("scratch.authors.id", ondelete="CASCADE")), Column("title", String, comment="of the book"), Index("books_title", "title"))
    case_("create all", lambda: own.create_all(engine))
    case_("insert own", lambda: rows(insert(authors).returning(authors.c.id), [{"name": "a", "data": {"k": 1}}, {"name": "b", "data": None}]))
    case_("read own", lambda: rows(select(authors).outerjoin(books).order_by(authors.c.id)))
    case_("drop all", lambda: own.drop_all(engine))
    engine.dispose()
