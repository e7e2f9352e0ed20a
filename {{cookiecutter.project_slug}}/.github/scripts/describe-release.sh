#!/bin/sh
# Describes a failed release (IMAGE, ENVIRONMENT, BEFORE, RELEASED, RECOVERED) in Markdown.
set -eu
case ${RECOVERED:-} in
success) state="Rolled back to \`$BEFORE\`, which passed the same load: the service answers." ;;
failure) state="**The service may be down.** Rolled back to \`$BEFORE\`, which failed its test as well." ;;
*)
  if [ "${RELEASED:-}" = skipped ]; then
    state="The service is unchanged: a step before the release failed."
  elif [ -n "${BEFORE:-}" ]; then
    state="**The service may be down or unchanged.** There was no rollback to \`$BEFORE\`, or it failed."
  else
    state="**The service may be down.** No image ran before, so there is none to go back to."
  fi
  ;;
esac
cat <<END
\`$IMAGE\` was not released to $ENVIRONMENT.

$state

The failed step is in the run: ${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-}
END
