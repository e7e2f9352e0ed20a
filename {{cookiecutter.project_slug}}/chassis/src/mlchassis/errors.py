"""The one exception that a person is meant to read."""


class ProjectError(Exception):
    """A failure that somebody can act on.

    Its text is one sentence that names the input, says what was wrong with it and what to do about
    it. The command line prints it without a traceback and exits with 1.
    """
