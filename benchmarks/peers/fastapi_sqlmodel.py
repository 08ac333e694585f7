"""FastAPI and SQLModel as their tutorials teach it.

https://sqlmodel.tiangolo.com/tutorial/fastapi/ for models, session and endpoints (sync `def`, one Session a
request, table model and Create/Public models), https://fastapi.tiangolo.com/tutorial/security/ for the token.

In its favour: uvloop and httptools, no access log, no CORS, no check whether pooled connections live, the
user is not looked up in the database, tasks are found by their whole primary key, lists have neither cursors
nor filters, and a pool of one connection for each of the 40 threads that FastAPI runs endpoints in. With the
pool that create_engine gives by default, connections are opened and closed all the time (20 to 30 % more
CPU), and at 64 clients requests end with 500: threads wait for connections whose release waits for a thread.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jwt.exceptions import InvalidTokenError
from sqlmodel import Column, DateTime, Field, Session, SQLModel, col, create_engine, select

SECRET_KEY = os.environ["BETTER_AUTH_SECRET"]
ALGORITHM = "HS256"

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")

engine = create_engine(URL, pool_size=40, max_overflow=0)
app = FastAPI()
bearer = HTTPBearer()


def now() -> datetime:
    return datetime.now(UTC)


def moment() -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    completed: bool = False


class Task(TaskBase, table=True):
    __tablename__ = "tasks"

    id: int | None = Field(default=None, primary_key=True, sa_column_kwargs={"autoincrement": True})
    user_id: str = Field(primary_key=True)
    created_at: datetime = Field(default_factory=now, sa_column=moment())
    updated_at: datetime = Field(default_factory=now, sa_column=moment())
    version: int = 1


class TaskCreate(TaskBase):
    pass


class TaskPublic(TaskBase):
    id: int
    user_id: str
    created_at: datetime
    updated_at: datetime
    version: int


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


async def get_current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        payload = jwt.decode(credentials.credentials, SECRET_KEY, algorithms=[ALGORITHM])
        return str(payload["sub"])
    except (InvalidTokenError, KeyError):
        raise HTTPException(status_code=401, detail="Could not validate credentials") from None


async def get_owner(user_id: str, current_user: Annotated[str, Depends(get_current_user)]) -> str:
    if user_id != current_user:
        raise HTTPException(status_code=403, detail="Not authorized")
    return user_id


SessionDep = Annotated[Session, Depends(get_session)]
Owner = Annotated[str, Depends(get_owner)]


@app.get("/api/{user_id}/tasks", response_model=list[TaskPublic])
def read_tasks(
    session: SessionDep, owner: Owner, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[Task]:
    newest_first = col(Task.created_at).desc(), col(Task.id).desc()
    statement = select(Task).where(Task.user_id == owner).order_by(*newest_first).limit(limit)
    return list(session.exec(statement).all())


@app.post("/api/{user_id}/tasks", response_model=TaskPublic, status_code=201)
def create_task(session: SessionDep, owner: Owner, task: TaskCreate) -> Task:
    db_task = Task.model_validate(task, update={"user_id": owner})
    session.add(db_task)
    session.commit()
    session.refresh(db_task)
    return db_task


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def read_task(session: SessionDep, owner: Owner, task_id: int) -> Task:
    task = session.get(Task, (task_id, owner))
    if not task:
        raise HTTPException(status_code=404, detail="Task not found")
    return task


@app.patch("/api/{user_id}/tasks/{task_id}/complete", response_model=TaskPublic)
def complete_task(session: SessionDep, owner: Owner, task_id: int) -> Task:
    task = session.get(Task, (task_id, owner))
    if not task:
        raise HTTPException(status_code=404, detail="Task not found")
    task.completed = not task.completed
    task.updated_at = now()
    task.version += 1
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.get("/health/live")
def live() -> None:
    pass
