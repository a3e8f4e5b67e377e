"""Commands that work on the rows of all users, beside row-level security: migrations, copies, purges, renewals."""
