"""`python -m PACKAGE VERB`: the verbs of the Makefile and the stages of dvc.yaml."""

from .launch import run


def main() -> None:
    """Run the verb that the command line names."""
    run(project=f"{__package__}.project:project", service=f"{__package__}.service:service")


if __name__ == "__main__":
    main()
