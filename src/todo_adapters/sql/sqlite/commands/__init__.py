"""Commands that work on the rows of all users: migrations, copies, purges, renewals."""
