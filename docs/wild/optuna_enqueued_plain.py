"""The same without Treadle: two real processes ask for an enqueued trial, in a hundred studies."""

import multiprocessing
import sys
import tempfile
from pathlib import Path

import optuna

STUDIES = 100


def work(url, barrier, numbers):
    """Ask for a trial of each study, at the same time as the other worker."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for study_name in map(str, range(STUDIES)):
        study = optuna.load_study(study_name=study_name, storage=url)
        barrier.wait()
        numbers.put((study_name, study.ask().number))


def main():
    """Count the studies of which both workers got the same trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'study.db'}"
        for study_name in map(str, range(STUDIES)):
            optuna.create_study(study_name=study_name, storage=url).enqueue_trial({"x": 1.0})
        barrier, numbers = processes.Barrier(2), processes.Queue()
        workers = [processes.Process(target=work, args=(url, barrier, numbers)) for _ in range(2)]
        for worker in workers:
            worker.start()
        got = [numbers.get() for _ in range(2 * STUDIES)]
        for worker in workers:
            worker.join()
    twice = len(got) - len(set(got))
    print(f"optuna {optuna.__version__}: both workers run the same trial in {twice} of {STUDIES} studies")
    return int(twice > 0)


if __name__ == "__main__":
    sys.exit(main())
