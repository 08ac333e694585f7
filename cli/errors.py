"""The errors that end a command."""


class CommandError(Exception):
    """One line for the operator: what is wrong and what to do. It contains no secret."""

    status = 1


class WrongUsage(CommandError):
    """Arguments that are not allowed together or in this place."""

    status = 2
