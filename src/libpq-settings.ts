/** Variables of libpq that say nothing of where a connection goes: whoever set them keeps them. */
export const LIBPQ_SETTINGS: readonly string[] = [
  'PGAPPNAME',
  'PGTZ',
  'PGDATESTYLE',
  'PGGEQO',
  'PGCLIENTENCODING',
];
