import os

from celery import Celery

app = Celery("shop", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])


@app.task
def add(a: int, b: int) -> int:
    return a + b


@app.task
def tidy() -> None:
    """What beat asks for every hour."""


app.conf.beat_schedule = {"tidy": {"task": tidy.name, "schedule": 3600}}
