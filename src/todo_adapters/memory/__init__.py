"""The store in the memory of one process."""

from todo_adapters.memory.store import MemoryTasks as MemoryTasks
