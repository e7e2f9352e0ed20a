#!/bin/sh
# The local stack of deploy/compose.yaml and deploy/stack.yaml, by docker compose. `make` calls it:
#   stack.sh up      start all services, wait until they are healthy, and print their addresses
#   stack.sh down    stop them and keep their data; ARGS=--volumes deletes them
set -eu
SECRETS=var/stack.env
WITHIN=${STACK_WITHIN:-180} # seconds in which every service must be healthy

fail() {
    echo "error: $1" >&2
    exit 1
}

# Set `compose_command`: the plugin, or the older program.
find_compose() {
    case ${DOCKER_HOST:-} in '' | unix://*) ;; *) fail "DOCKER_HOST is $DOCKER_HOST, and the stack runs on this machine; unset it" ;; esac
    command -v docker >/dev/null || fail "docker is missing; install Docker Engine with its compose plugin"
    answer=$(docker version --format '{{.Server.Version}}' 2>&1) ||
        fail "docker does not answer; start its engine, or let your user use it ($(printf '%s\n' "$answer" | tail -n 1))"
    compose_command='docker compose'
    docker compose version >/dev/null 2>&1 || compose_command=docker-compose
    $compose_command version >/dev/null 2>&1 || fail "docker has no compose; install its compose plugin"
}

# The variables let the older program build with BuildKit, as the plugin does.
compose() {
    COMPOSE_DOCKER_CLI_BUILD=1 DOCKER_BUILDKIT=1 $compose_command --project-name "$PROJECT" ${env_file:+--env-file "$env_file"} \
        --file deploy/compose.yaml --file deploy/stack.yaml "$@"
}

random() {
    od -An -v -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# Write passwords and settings once, for this user alone. The volumes remember the passwords of their first start.
write_secrets() {
    test ! -e "$SECRETS" || return 0
    test -z "$(docker volume ls --quiet --filter "name=^${PROJECT}_database\$")" ||
        fail "$SECRETS is missing, and the data of this stack need its passwords; restore it, or delete the data: make down ARGS=--volumes"
    scratch=$(mktemp var/.stack.env.XXXXXX) # mode 0600
    cat >"$scratch" <<END
# Written by the first \`make up\`; git ignores it. Passwords of the local stack: a volume keeps those of its first start.
STACK_DATABASE_PASSWORD=$(random 24)
STACK_S3_KEY=$(random 10)
STACK_S3_SECRET=$(random 24)
STACK_GRAFANA_PASSWORD=$(random 12)

# Ports on this machine, and the webhook that gets the alerts.
PORT=8000
STACK_MLFLOW_PORT=5000
STACK_S3_PORT=9000
STACK_PROMETHEUS_PORT=9090
STACK_ALERTMANAGER_PORT=9093
STACK_GRAFANA_PORT=3000
STACK_ALERT_WEBHOOK=
END
    ln "$scratch" "$SECRETS" # unlike mv, it never overwrites
    rm "$scratch"
    echo "stack: passwords and ports are in $SECRETS"
}

# Start the services; print what compose prints, and a sentence for a port that is taken.
start() {
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    { compose up --detach --build "$@" 2>&1 || echo "stack: compose failed"; } | tee "$log"
    test "$(tail -n 1 "$log")" = "stack: compose failed" || return 0
    taken=$(grep -E 'already (in use|allocated)' "$log" | grep -oE '127\.0\.0\.1:[0-9]+' | head -n 1)
    test -z "$taken" || fail "the port $taken is in use; stop the program that listens there, or set another one in $SECRETS"
    fail "compose could not start the stack, for the reason above; make down stops the services that run"
}

# Print the container of a service. Asking docker itself is several times as fast as asking compose.
find_container() {
    docker ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1"
}

await_healthy() {
    container=$(find_container "$1")
    until test "$(docker inspect --format '{{.State.Health.Status}}' "$container")" = healthy; do
        test "$(date +%s)" -lt "$2" || fail "$1 is not healthy after $WITHIN s; read its log: docker logs $container"
        sleep 1
    done
}

find_address() {
    docker port "$(find_container "$1")" "$2"
}

# Print the address of a service: NAME PORT TITLE.
print_address() {
    printf 'stack: %-14s http://%s\n' "$3" "$(find_address "$1" "$2")"
}

up() {
    mkdir -p var/deployed
    write_secrets
    env_file=$PWD/$SECRETS
    services='database storage mlflow prometheus alertmanager grafana'
    if test -e var/deployed/current.json; then services="$services service"; fi
    # shellcheck disable=SC2086 # a list of words
    start $services
    deadline=$(($(date +%s) + WITHIN))
    for name in $services; do await_healthy "$name" "$deadline"; done
    mlflow=$(find_address mlflow 5000)
    case $services in
    *service) print_address service 8000 Service ;;
    *) echo "stack: nothing is deployed, so the service does not run; after make run SERVE=0 with the variable below, run make up again" ;;
    esac
    print_address mlflow 5000 MLflow
    print_address prometheus 9090 Prometheus
    print_address alertmanager 9093 Alertmanager
    print_address grafana 3000 Grafana
    print_address storage 9000 S3
    echo "Next:  export MLFLOW_TRACKING_URI=http://$mlflow    (judge, register, promote and deploy then use it; docs/stack.md)"
}

down() {
    case ${ARGS:-} in '' | --volumes) ;; *) fail "ARGS is '$ARGS'; write --volumes or leave it out" ;; esac
    if test -e "$SECRETS"; then
        env_file=$PWD/$SECRETS
    else
        # No container is started, so any value does.
        export STACK_DATABASE_PASSWORD=none STACK_S3_KEY=none STACK_S3_SECRET=none STACK_GRAFANA_PASSWORD=none
    fi
    compose down --remove-orphans ${ARGS:+"$ARGS"}
}

# make exports an unset PORT as an empty one, which would come before that of the file.
test -n "${PORT:-}" || unset PORT
env_file=
case $1 in
up | down)
    find_compose
    "$1"
    ;;
*) fail "stack.sh has no action '$1'" ;;
esac
