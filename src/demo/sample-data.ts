/**
 * The demo's database: a small shop. Everything is invented; the card numbers pass the Luhn check
 * (so that detectors see them) and start with ranges that payment schemes keep for tests.
 */

export const SAMPLE_DATABASE = 'shop';
export const SAMPLE_ROLE = 'shop_app';

const FIRST = ['Ada', 'Bela', 'Chidi', 'Dana', 'Emre', 'Femi', 'Greta', 'Hana', 'Ivo', 'Jun'];
const LAST = ['Almeida', 'Brandt', 'Costa', 'Duarte', 'Eriksen', 'Farkas', 'Goto', 'Haddad'];
const STATUSES = ['paid', 'open', 'shipped', 'returned'];
const CUSTOMERS = 80;
const ORDERS = 240;

export interface SampleCustomer {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly cardNumber: string;
  readonly ssn: string;
}

export const SAMPLE_CUSTOMERS: readonly SampleCustomer[] = Array.from(
  { length: CUSTOMERS },
  (_, index) => {
    const id = index + 1;
    const first = pick(FIRST, index);
    const last = pick(LAST, Math.floor(index / FIRST.length));
    return {
      id,
      name: `${first} ${last}`,
      email: `${first}.${last}@mail.example`.toLowerCase(),
      cardNumber: cardNumber(id),
      ssn: `${pad(201 + ((id * 37) % 400), 3)}-${pad(10 + (id % 80), 2)}-${pad(1000 + id * 7, 4)}`,
    };
  },
);

/** Statements for the database itself, run as a superuser. */
export const SAMPLE_SCHEMA = `
CREATE TABLE customers (
  id          int PRIMARY KEY,
  full_name   text NOT NULL,
  email       text NOT NULL,
  card_number text NOT NULL,
  ssn         text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT '2026-01-05 09:00:00+00'
);
CREATE TABLE orders (
  id          int PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customers (id),
  amount      numeric(10, 2) NOT NULL,
  status      text NOT NULL,
  ordered_at  date NOT NULL
);
CREATE TABLE support_tickets (
  id          int PRIMARY KEY,
  customer_id int REFERENCES customers (id),
  body        text NOT NULL
);
CREATE VIEW customer_overview AS
  SELECT c.id, c.full_name, c.card_number AS payment_card, count(o.id) AS orders, sum(o.amount) AS total
  FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
  GROUP BY c.id;
INSERT INTO customers (id, full_name, email, card_number, ssn) VALUES
${SAMPLE_CUSTOMERS.map((c) => `  (${c.id}, '${c.name}', '${c.email}', '${c.cardNumber}', '${c.ssn}')`).join(',\n')};
INSERT INTO orders
  SELECT g, (g * 7) % ${CUSTOMERS} + 1, round((g * 37 % 500 + g * 0.13)::numeric, 2),
         (ARRAY[${STATUSES.map((status) => `'${status}'`).join(', ')}])[g % ${STATUSES.length} + 1],
         DATE '2026-02-01' + g % 90
  FROM generate_series(1, ${ORDERS}) g;
INSERT INTO support_tickets VALUES
  (1, 3, 'The parcel arrived open, please send a new one.'),
  (2, 8, 'I was charged twice on my card ${cardNumber(8)}, please check.'),
  (3, 12, 'Please change my address to dana.private@mail.example for invoices.');
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO ${SAMPLE_ROLE};
ANALYZE;
`;

function pick(values: readonly string[], index: number): string {
  return values[index % values.length] ?? '';
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

/** 16 digits with a right check digit (ISO/IEC 7812-1 annex B). */
function cardNumber(id: number): string {
  const digits = `41111100${pad(id * 1237, 7)}`;
  let sum = 0;
  for (const [index, digit] of [...digits].reverse().entries()) {
    const doubled = Number(digit) * (index % 2 === 0 ? 2 : 1);
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return `${digits}${(10 - (sum % 10)) % 10}`;
}
