"""The name of the lock that whoever writes a project's registry or its rows online holds, in the warehouse."""


def lock_name(project: str) -> str:
    """For `hashtextextended`, whose result Postgres' advisory locks take."""
    return f"terrane feast {project}"
