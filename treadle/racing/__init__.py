"""Races: functions of an application against each other, without a scenario that anybody wrote."""
