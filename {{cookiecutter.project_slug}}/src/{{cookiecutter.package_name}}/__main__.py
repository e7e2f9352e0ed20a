"""`python -m PACKAGE VERB`: the verbs of the Makefile and the stages of dvc.yaml."""

from mlchassis import cli


def main() -> None:
    """Run the verb that the command line names."""
    cli.run(project=f"{__package__}.project:project", service=f"{__package__}.service:service")


if __name__ == "__main__":
    main()
