"""How a command ends that did not do what it was asked."""


class Failure(Exception):
    """What is wrong and what to do about it, in a line for the person who runs the command; no secret."""

    status = 1


class WrongUsage(Failure):
    """What the arguments do not allow here."""

    status = 2
