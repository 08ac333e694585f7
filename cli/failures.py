"""The errors that end a command."""


class Failure(Exception):
    """One line for the operator: what is wrong and what to do. It contains no secret."""

    status = 1


class WrongUsage(Failure):
    """Arguments that are not allowed together or in this place."""

    status = 2
