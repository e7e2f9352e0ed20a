"""The one exception that a person is meant to read."""


class ProjectError(Exception):
    """A failure that somebody can act on.

    Its text is one sentence that names the input, says what was wrong with it and what to do about
    it. The command line prints it without a traceback and exits with 1.
    """


def describe_yaml_error(error: Exception) -> str:
    """Return the problem of an error of PyYAML with its line; the text of another error."""
    problem, mark = (getattr(error, name, None) for name in ("problem", "problem_mark"))
    if not problem or mark is None:
        return " ".join(str(error).split())
    begin = getattr(error, "context_mark", None)
    context = f" {error.context} from line {begin.line + 1} on" if begin is not None else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{context}"
