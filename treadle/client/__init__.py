"""Clients: unchanged Python code behind a gate, run one operation at a time and learned as trees."""
