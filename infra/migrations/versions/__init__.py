"""Steps from one schema to the next, run by `infra.database.migrate`."""
