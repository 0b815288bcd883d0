"""Executions: the product of clients and a world, learned or live."""
