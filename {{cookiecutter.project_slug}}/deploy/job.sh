#!/bin/sh
# A job of the image "jobs", on a copy of the project in the volume /srv/job:
#   job.sh monitor    compare production with the champion, or with the bundle in SERVICE_STORE where that is set
#   job.sh retrain    train on the newest rows, and push the data of a model that the gates approve
#   job.sh compact-log    turn segments of the prediction log in /srv/predictions into Parquet files, and delete rows that are too old
# Exit codes: those of the verbs, but monitor's 10 (watch) is 0. A cluster counts every other code as a failed job, and
# `watch` needs nobody. deploy/kubernetes/base/jobs.yaml says which codes are tried again.
set -eu
WATCH=10

run() {
    python -m "$JOB_PACKAGE" "$@"
}

copy_project() {
    mkdir -p "$HOME" "$TMPDIR"
    test ! -e /srv/job/project || {
        echo "error: /srv/job holds the project of an earlier job; give each job an empty volume" >&2
        exit 1
    }
    cp -R /opt/project /srv/job/project
    cd "$JOB_FOLDER"
}

monitor() {
    if test -z "${SERVICE_STORE:-}"; then
        run stores ARGS=--require
        run deploy
    fi
    # The commit may hold a report, which is older than the one in /srv/reports.
    rm -f reports/monitor.json reports/monitor.html
    status=0
    run monitor || status=$?
    # The volume of the job ends with it; /srv/reports may be one that stays.
    if test -e reports/monitor.json; then
        cp reports/monitor.json reports/monitor.html /srv/reports/ || status=1
    fi
    test "$status" -ne "$WATCH" || status=0
    exit "$status"
}

retrain() {
    run stores ARGS=--require
    run pull
    run retrain
    python -m dvc push
}

case ${1:-} in
monitor | retrain)
    copy_project
    "$1"
    ;;
compact-log)
    copy_project
    run compact-log
    ;;
*)
    echo "error: job.sh has no job '${1:-}'; write monitor, retrain or compact-log" >&2
    exit 1
    ;;
esac
