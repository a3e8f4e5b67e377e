"""A batch that is cut off at every step of it, also in a process of its own."""

from todo_domain import DeleteTask, PatchTask, Put, PutTask

OLD, DOOMED, PASSING = "the-old-name", "the-doomed-name", "a-passing-name"
MADE = [f"a-made-name-{number}" for number in range(3)]
PLACES = {name: Put({"title": name}) for name in (OLD, DOOMED)}
BATCH = [
    *(PutTask(name, Put({"title": "made"}, create_only=True)) for name in MADE),
    PatchTask(OLD, {"title": "edited"}),
    PutTask(PASSING, Put({"title": "passing"}, create_only=True)),
    DeleteTask(PASSING),
    DeleteTask(DOOMED),
]
"""Makes three tasks, edits one, makes one that it deletes, and deletes one."""
