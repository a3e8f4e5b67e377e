"""The commands of `todo` beside `serve`; each is imported only when it runs."""
