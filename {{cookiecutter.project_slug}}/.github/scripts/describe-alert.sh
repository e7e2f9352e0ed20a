#!/bin/sh
# Describes an alert of the monitor (STATUS, SENTENCE) and the three choices, in Markdown.
set -eu
cat <<END
**$STATUS**: $SENTENCE

The report is an artifact of the run: ${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-}

Choose one:

- **Tune** if the change is harmless: adjust the section \`monitor\` of \`params.yaml\`, such as \`ignore\`.
- **Roll back** if the champion became worse: run the workflow \`rollback\`, or \`make rollback REASON="..."\`.
- **Retrain** if the world changed: run the workflow \`retrain\`, or \`make retrain\`.

The status \`broken\` names a broken input: repair the input first.
This issue is closed when the monitor finds no signal above its limit.
END
