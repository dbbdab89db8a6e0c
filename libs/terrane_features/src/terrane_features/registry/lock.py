"""Names of the advisory locks that all writers of a project take, in the warehouse."""


def lock_name(project: str) -> str:
    """Of the registry, for `hashtextextended`, whose result Postgres' advisory locks take.

    Who applies holds it alone; who materialises a view shares it.
    """
    return f"terrane feast {project}"


def view_lock_name(project: str, view: str) -> str:
    """Of one view's rows online, which one writer at a time may change."""
    return f"terrane feast {project} view {view}"
