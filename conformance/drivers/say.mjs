/** What the programs share: a case each, its result or its error, one line of JSON. */
export async function attempt(name, work) {
  let line;
  try {
    line = { name, result: await work() };
  } catch (error) {
    const { code, message, severity, detail, constraint } =
      error.original ?? error.driverError ?? error.cause ?? error;
    line = { name, error: { code, message, severity, detail, constraint } };
  }
  const text = JSON.stringify(line, (_key, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  process.stdout.write(`${text}\n`);
}
