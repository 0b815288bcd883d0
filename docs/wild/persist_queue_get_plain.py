"""The same without Treadle: two real processes empty one queue of a thousand items."""

import multiprocessing
import sys
import tempfile
from importlib.metadata import version

from persistqueue import Empty, SQLiteQueue

ITEMS = 1000


def work(path, barrier, taken):
    """Take items until there are none."""
    queue, own = SQLiteQueue(path, auto_commit=True), []
    barrier.wait()
    try:
        while True:
            own.append(queue.get(block=False))
    except Empty:
        taken.put(own)


def main():
    """Count the items that both processes have."""
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as path:
        queue = SQLiteQueue(path, auto_commit=True)
        for item in range(ITEMS):
            queue.put(item)
        barrier, taken = processes.Barrier(2), processes.Queue()
        workers = [processes.Process(target=work, args=(path, barrier, taken)) for _ in range(2)]
        for worker in workers:
            worker.start()
        one, other = taken.get(), taken.get()
        for worker in workers:
            worker.join()
    twice = len(set(one) & set(other))
    print(f"persist-queue {version('persist-queue')}: {twice} of {ITEMS} items were taken by both processes")
    return int(twice > 0)


if __name__ == "__main__":
    sys.exit(main())
