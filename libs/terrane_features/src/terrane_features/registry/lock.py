"""Name of the advisory lock that all writers of a project take, in the warehouse."""


def lock_name(project: str) -> str:
    """For `hashtextextended`, whose result Postgres' advisory locks take."""
    return f"terrane feast {project}"
