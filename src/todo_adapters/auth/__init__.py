"""Who is calling: tokens that somebody else issued."""
