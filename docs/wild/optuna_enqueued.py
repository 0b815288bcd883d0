"""Two workers ask for the trial that was enqueued: ``treadle check optuna_enqueued:scenario`` (needs optuna)."""

import optuna
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel

from treadle import Client, Database, Scenario, at_end

storage = RDBStorage("sqlite:///study.db")


def seed(engine):
    """Make a study, and enqueue one trial."""
    optuna.create_study(study_name="search", storage=storage).enqueue_trial({"x": 1.0})


def work() -> int:
    """Ask for a trial, as each worker of a study does first."""
    return optuna.load_study(study_name="search", storage=storage).ask().number


@at_end("no two workers run the same trial")
def each_its_own(view):
    """Compare the numbers of their trials."""
    numbers = list(view.returned().values())
    return len(numbers) == len(set(numbers))


scenario = Scenario(
    "enqueued trial",
    Database(BaseModel.metadata, seed, engine=storage.engine, journal="delete"),
    [Client("A", work), Client("B", work)],
    [each_its_own],
    expect_violated=["each-its-own"],
)
