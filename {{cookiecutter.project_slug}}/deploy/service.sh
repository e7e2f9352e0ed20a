#!/bin/sh
# The image and the released service, by docker; DOCKER_HOST names another machine. `make` calls it:
#   service.sh image         build the image with the deployed bundle, as $IMAGE, and check its size
#   service.sh publish       build it with an SBOM and provenance, and push it to $IMAGE
#   service.sh release       run the image $IMAGE until it is healthy
#   service.sh released      print the image that runs
#   service.sh fetch-log     copy the prediction log to var/predictions
set -eu
IMAGE=${IMAGE:-}
MAX_MB=${IMAGE_MAX_MB:-600} # of the unpacked image; the service and its base take about 350

fail() {
    echo "error: $1" >&2
    exit 1
}

compose() {
    docker compose --project-name "$PROJECT" --file deploy/release.yaml "$@"
}

# Set an output of a workflow's step: NAME VALUE.
output() {
    test -z "${GITHUB_OUTPUT:-}" || printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

need_bundle() {
    test -e var/deployed/current.json || fail "no bundle is deployed in var/deployed; run make deploy first"
}

build_image() {
    need_bundle
    docker build --file deploy/Dockerfile --target with-bundle --tag "$IMAGE" .
    megabytes=$(($(docker image inspect --format '{{.Size}}' "$IMAGE") / 1000000))
    test "$megabytes" -le "$MAX_MB" || fail "the image has $megabytes MB, above IMAGE_MAX_MB=$MAX_MB; find what grew with docker history $IMAGE"
    echo "image: $IMAGE has $megabytes MB of at most $MAX_MB"
}

publish_image() {
    need_bundle
    mkdir -p build
    docker buildx build --file deploy/Dockerfile --target with-bundle --sbom=true --provenance=mode=max \
        --tag "$IMAGE" --push --metadata-file build/image.json .
    digest=$(sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' build/image.json)
    test -n "$digest" || fail "docker reported no digest for $IMAGE; see build/image.json"
    echo "image: ${IMAGE%:*}@$digest"
    output image "${IMAGE%:*}@$digest"
    output name "${IMAGE%:*}"
    output digest "$digest"
}

print_released() {
    container=$(IMAGE=none compose ps --quiet service)
    running=
    test -z "$container" || running=$(docker inspect --format '{{.Config.Image}}' "$container")
    echo "released: ${running:-nothing}"
    output image "$running"
}

case $1 in
image) build_image ;;
publish) publish_image ;;
release)
    compose up --detach --wait --wait-timeout 120
    echo "release: $IMAGE runs and is healthy"
    ;;
released) print_released ;;
fetch-log)
    mkdir -p var/predictions
    IMAGE=none compose cp service:/srv/predictions/. var/predictions
    ;;
*) fail "service.sh has no action '$1'" ;;
esac
