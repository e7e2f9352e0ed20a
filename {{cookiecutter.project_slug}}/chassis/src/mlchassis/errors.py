"""The one exception that a person is meant to read."""


class ProjectError(Exception):
    """A failure that somebody can act on.

    Its text is one sentence that names the input, says what was wrong with it and what to do about
    it. The command line prints it without a traceback and exits with 1.
    """


def describe_yaml_error(error: Exception) -> str:
    """Return the problem of an error of PyYAML with its line; the text of another error."""
    problem = getattr(error, "problem", None)
    place = getattr(error, "problem_mark", None)
    if not problem or place is None:
        return " ".join(str(error).split())
    context, begin = (getattr(error, name, None) for name in ("context", "context_mark"))
    around = f" {context} from line {begin.line + 1} on" if context and begin is not None else ""
    return f"line {place.line + 1}, column {place.column + 1}: {problem}{around}"
