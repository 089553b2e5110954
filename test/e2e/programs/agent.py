# A script with a stock driver that knows nothing of hoop: it finds its database where libpq looks.
import sys

import psycopg2

connection = psycopg2.connect('')
with connection, connection.cursor() as cursor:
    cursor.execute('SELECT count(*) FROM customers')
    print('customers', cursor.fetchone()[0])
    cursor.execute('SELECT email FROM customers ORDER BY id LIMIT 1')
    print('email', cursor.fetchone()[0])
try:
    with connection, connection.cursor() as cursor:
        cursor.execute('TRUNCATE orders')
except psycopg2.Error as error:
    print('refused', error.pgcode, file=sys.stderr)
connection.close()
