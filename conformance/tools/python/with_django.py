"""Django: inspectdb, the ORM, save(), relations, admin's queries, migrations up and down."""

import io
import os
import sys
import types

from say import attempt

import django
from django.conf import settings
from django.db import models

server = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
}
here = types.ModuleType("shop")
here.__path__ = [os.path.join(os.getcwd(), "shop")]
here.__file__ = os.path.join(os.getcwd(), "shop", "__init__.py")
sys.modules["shop"] = here
os.makedirs("shop/migrations", exist_ok=True)
for name in ("shop/__init__.py", "shop/migrations/__init__.py"):
    open(name, "w").close()
settings.configure(
    DATABASES={"default": server | {"OPTIONS": {"options": "-c search_path=scratch,public"}}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True, SECRET_KEY="x",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, OuterRef, Prefetch, Q, Sum  # noqa: E402


class Customer(models.Model):
    id = models.AutoField(primary_key=True)
    name = models.TextField()
    email = models.TextField(null=True, unique=True)
    card_number = models.TextField(null=True)
    notes = models.TextField(null=True)

    class Meta:
        app_label, managed, db_table = "shop", False, "customers"


class Product(models.Model):
    id = models.AutoField(primary_key=True)
    sku = models.CharField(max_length=20, unique=True)
    title = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.IntegerField(default=0)

    class Meta:
        app_label, managed, db_table = "shop", False, "products"


class Order(models.Model):
    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, models.DO_NOTHING, related_name="orders")
    state = models.TextField(default="open")
    total = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    details = models.JSONField(default=dict)
    changes = models.IntegerField(default=0)
    placed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label, managed, db_table = "shop", False, "orders"


def command(name, *arguments, **options):
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=out, no_color=True, **options)
    return [line for line in out.getvalue().split("\n") if "seconds" not in line]


attempt("inspectdb", lambda: command("inspectdb", include_views=True))
attempt("check", lambda: command("check", databases=["default"]))

attempt("get", lambda: Customer.objects.filter(pk=2).values().get())
attempt("list", lambda: list(Order.objects.filter(state="open").order_by("id").values_list("id", "total")[:5]))
attempt("by address", lambda: Customer.objects.get(email="customer4@shop.example").pk)
attempt("is taken", lambda: Customer.objects.filter(email="customer4@shop.example").exists())
attempt("contains", lambda: Customer.objects.filter(name__icontains="customer 1").count())
attempt("select_related", lambda: [[o.id, o.customer.name, o.customer.email] for o in Order.objects.select_related("customer").order_by("id")[:3]])
attempt("prefetch_related", lambda: [[c.name, [o.id for o in c.orders.all()]] for c in Customer.objects.prefetch_related(Prefetch("orders", Order.objects.order_by("id"))).order_by("id")[:3]])
attempt("annotate", lambda: list(Customer.objects.annotate(n=Count("orders"), total=Sum("orders__total")).filter(n__gt=1).order_by("id").values_list("id", "n", "total")[:5]))
attempt("annotate whole rows", lambda: [[c.id, c.email, c.n] for c in Customer.objects.annotate(n=Count("orders")).order_by("id")[:2]])
attempt("subquery", lambda: Customer.objects.filter(Exists(Order.objects.filter(customer=OuterRef("pk"), total__gt=50))).count())
attempt("aggregate", lambda: Order.objects.aggregate(Avg("total"), Count("customer", distinct=True)))
attempt("q", lambda: Order.objects.filter(Q(state="paid") | Q(total__lt=5)).count())
attempt("json", lambda: Order.objects.filter(details__channel="web", details__n__gt=30).count())
attempt("dates", lambda: list(Order.objects.filter(pk__lt=9).dates("placed_at", "month")))
attempt("iterator", lambda: sum(1 for _ in Order.objects.order_by("id").iterator(chunk_size=10)))
attempt("in bulk", lambda: sorted(Product.objects.in_bulk([1, 2, 3])))
attempt("explain", lambda: Order.objects.filter(pk=1).explain(costs=False).split("\n"))


def save(pk, fields=None, **changes):
    row = Customer.objects.get(pk=pk)
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=fields)
    return Customer.objects.filter(pk=pk).values("name", "notes").get()


def order():
    made = Order.objects.create(customer_id=3, total="5")
    made.state = "paid"
    made.save()
    made.refresh_from_db()
    shown = [made.pk > 0, made.state, made.changes]
    return [shown, made.delete()]


attempt("save one field", lambda: save(3, ["name"], name="Renamed"))
attempt("save a whole masked row", lambda: save(4, name="Renamed"))
attempt("save what a detector found", lambda: save(7, ["notes"], notes=Customer.objects.get(pk=7).notes))
attempt("create, save, delete", order)
attempt("save a product", lambda: (p := Product.objects.get(pk=3)) and (setattr(p, "stock", 77), p.save(), Product.objects.get(pk=3).stock)[-1])
attempt("bulk_create", lambda: len(Product.objects.bulk_create([Product(sku=f"D-{i}", title="x", price=i) for i in range(20)])))
attempt("bulk_update", lambda: Product.objects.bulk_update([setattr(p, "stock", 9) or p for p in Product.objects.filter(sku__startswith="D-")], ["stock"]))
attempt("update", lambda: Product.objects.filter(sku__startswith="D-").update(price=F("price") + 1))
attempt("get_or_create", lambda: Product.objects.get_or_create(sku="SKU-1", defaults={"title": "x", "price": 1})[1])
attempt("update_or_create", lambda: Product.objects.update_or_create(sku="SKU-2", defaults={"title": "Two"})[1])
attempt("delete", lambda: Product.objects.filter(sku__startswith="D-").delete())
attempt("duplicate", lambda: Product.objects.create(sku="SKU-1", title="x", price=1))
attempt("does not exist", lambda: Product.objects.get(sku="none"))
attempt("missing table", lambda: connection.cursor().execute("SELECT * FROM nowhere"))


def atomic():
    with transaction.atomic():
        Product.objects.select_for_update().get(pk=1)
        try:
            with transaction.atomic():
                Product.objects.create(sku="SKU-2", title="x", price=1)
        except Exception as error:  # noqa: BLE001
            found = type(error).__name__
        Product.objects.filter(pk=1).update(stock=3)
        transaction.on_commit(lambda: None)
    return [found, Product.objects.get(pk=1).stock]


attempt("atomic", atomic)

# Its own tables go to scratch: the first of the search path.
attempt("migrate", lambda: command("migrate", interactive=False))
attempt("showmigrations", lambda: command("showmigrations"))


def make(number, code):
    with open(f"shop/migrations/{number}.py", "w") as file:
        file.write(f"from django.db import migrations, models\nclass Migration(migrations.Migration):\n    dependencies = {code[0]}\n    operations = [{code[1]}]\n")


make("0001_first", ([], "migrations.CreateModel('Task', [('id', models.BigAutoField(primary_key=True)), ('title', models.CharField(max_length=50, unique=True)), ('state', models.CharField(max_length=9, db_index=True, default='open'))], options={'indexes': [models.Index(fields=['state', 'title'], name='task_state')]})"))
make("0002_second", ([("shop", "0001_first")], "migrations.AddField('Task', 'level', models.IntegerField(default=3)), migrations.RenameField('Task', 'title', 'name'), migrations.AlterField('Task', 'name', models.CharField(max_length=80, unique=True)), migrations.RunSQL('create table scratch.extra (id int); alter table scratch.extra add b int;', 'drop table scratch.extra'), migrations.AddConstraint('Task', models.CheckConstraint(condition=models.Q(level__gt=0), name='task_level'))"))
attempt("migrate own", lambda: command("migrate", "shop"))
attempt("sqlmigrate", lambda: command("sqlmigrate", "shop", "0002"))
attempt("migrate down", lambda: command("migrate", "shop", "zero"))
attempt("users", lambda: (u := User.objects.create_user("ann", password="x")) and (u.groups.add(Group.objects.create(name="staff")), u.has_perm("auth.add_user"), User.objects.filter(groups__name="staff").count())[1:])
attempt("session table", lambda: command("clearsessions"))
attempt("sqlsequencereset", lambda: command("sqlsequencereset", "auth")[:2])
attempt("flush", lambda: command("flush", interactive=False))
attempt("migrate all down", lambda: [command("migrate", app, "zero") for app in ("auth", "sessions", "contenttypes")] and "ok")
attempt("dumpdata", lambda: command("dumpdata", "shop.Product", format="json"))
