"""Temporary."""

import datetime as dt
import time

import time_machine


class Timekeeper:
    def __init__(self, start):
        self.start = start
        self.now_s = 0.0

    def install(self):
        self.t = time_machine.travel(self.start, tick=False)
        self.c = self.t.start()

        def sleep(s):
            self.now_s += s
            self.c.move_to(self.start + dt.timedelta(seconds=self.now_s))

        time.sleep = sleep

    def restart(self):
        self.now_s = 0.0
        self.c.move_to(self.start)
