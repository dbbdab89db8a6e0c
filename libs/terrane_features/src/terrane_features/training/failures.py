"""Why there is no training set."""


class EntitiesRefused(ValueError):
    """The query cannot be the left side of a point-in-time join; the message says why, and what to do."""


class NotJoined(RuntimeError):
    """The join did not give one row for each row of the entities."""


class NoSuchService(RuntimeError):
    """The service is in no registry yet."""
