"""Temporary."""


class Threads:
    def __init__(self, t):
        pass

    def before_asking(self):
        return None

    def after_asking(self):
        return None

    def finish(self):
        return None
