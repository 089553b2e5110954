create index concurrently payments_level on payments (level);
