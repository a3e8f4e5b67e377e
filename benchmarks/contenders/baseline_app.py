"""The same endpoints in the common way: FastAPI, SQLModel and psycopg2, with synchronous handlers.

DATABASE_URL=postgresql+psycopg2://… JWT_SECRET=… uvicorn baseline_app:app
"""

# Its libraries live in an environment of their own.
# mypy: ignore-errors

import os
from datetime import UTC, datetime
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import DateTime, event
from sqlmodel import Field, Session, SQLModel, create_engine, select

SECRET = os.environ["JWT_SECRET"]
URL = os.environ["DATABASE_URL"]

# Handlers run on 40 threads; none of them has to wait for a connection.
if URL.startswith("sqlite"):
    engine = create_engine(URL, connect_args={"check_same_thread": False, "timeout": 30}, pool_size=40)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode = WAL"))
else:
    engine = create_engine(URL, pool_size=40)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=5_000)


class Task(TaskBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    user_id: str = Field(index=True)
    completed: bool = False
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))


class TaskCreate(TaskBase):
    pass


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=5_000)
    completed: bool | None = None


class TaskRead(TaskBase):
    id: int
    user_id: str
    completed: bool
    created_at: datetime
    updated_at: datetime


app = FastAPI()
bearer = HTTPBearer()


def get_session():
    with Session(engine) as session:
        yield session


def get_user(user_id: str, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token") from None
    if claims["sub"] != user_id:
        raise HTTPException(403, "Forbidden")
    return user_id


Database = Annotated[Session, Depends(get_session)]
User = Annotated[str, Depends(get_user)]


def find(session: Session, user: str, task_id: int) -> Task:
    task = session.exec(select(Task).where(Task.id == task_id, Task.user_id == user)).first()
    if task is None:
        raise HTTPException(404, "Task not found")
    return task


def save(session: Session, task: Task) -> Task:
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.get("/api/{user_id}/tasks", response_model=list[TaskRead])
def list_tasks(session: Database, user: User, limit: Annotated[int, Query(ge=1, le=1_000)] = 100):
    newest = select(Task).where(Task.user_id == user).order_by(Task.created_at.desc(), Task.id.desc())
    return session.exec(newest.limit(limit)).all()


@app.post("/api/{user_id}/tasks", response_model=TaskRead, status_code=201)
def create_task(session: Database, user: User, new: TaskCreate):
    return save(session, Task(**new.model_dump(), user_id=user))


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskRead)
def get_task(session: Database, user: User, task_id: int):
    return find(session, user, task_id)


@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskRead)
def update_task(session: Database, user: User, task_id: int, changes: TaskUpdate):
    task = find(session, user, task_id)
    task.sqlmodel_update(changes.model_dump(exclude_unset=True), update={"updated_at": datetime.now(UTC)})
    return save(session, task)


@app.patch("/api/{user_id}/tasks/{task_id}/complete", response_model=TaskRead)
def toggle_task(session: Database, user: User, task_id: int):
    task = find(session, user, task_id)
    task.completed = not task.completed
    task.updated_at = datetime.now(UTC)
    return save(session, task)
