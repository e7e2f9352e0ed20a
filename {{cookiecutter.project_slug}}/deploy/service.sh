#!/bin/sh
# The image and the released service, by docker; DOCKER_HOST names another machine. `make` calls it:
#   service.sh image         build the image with the deployed bundle, as $IMAGE, and check its size
#   service.sh publish       build it with an SBOM and provenance, and push it to $IMAGE
#   service.sh image-jobs    build the image of the jobs from the commit that is checked out, as $IMAGE
#   service.sh publish-jobs  build that with an SBOM and provenance, and push it to $IMAGE
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

# Print the digest of the deployed bundle. The store keeps former ones as well, which the image must not.
find_bundle() {
    digest=$(sed -n 's/.*"digest": *"\([0-9a-f]*\)".*/\1/p' var/deployed/current.json)
    test -e "var/deployed/bundles/${digest:-none}" || fail "var/deployed/current.json names no bundle of var/deployed/bundles; run make deploy"
    printf %s "$digest"
}

build_image() {
    need_bundle
    docker build --file deploy/Dockerfile --target with-bundle --tag "$IMAGE" --build-arg "BUNDLE=$(find_bundle)" .
    megabytes=$(($(docker image inspect --format '{{.Size}}' "$IMAGE") / 1000000))
    test "$megabytes" -le "$MAX_MB" || fail "the image has $megabytes MB, above IMAGE_MAX_MB=$MAX_MB; find what grew with docker history $IMAGE"
    echo "image: $IMAGE has $megabytes MB of at most $MAX_MB"
}

# Clone the commit into build/jobs: models of the jobs name it, so nothing else may be in their image.
clone_commit() {
    test -z "$(git status --porcelain)" || fail "git status lists changes, which an image of the commit would lack; commit them first"
    rm -rf build/jobs
    mkdir -p build
    git clone --quiet --depth 1 --no-local -- "$(git rev-parse --show-toplevel)" build/jobs
    git -C build/jobs remote remove origin
}

build_jobs() {
    clone_commit
    docker build --file deploy/Dockerfile --target jobs --tag "$IMAGE" \
        --build-arg "FOLDER=$(git rev-parse --show-prefix)" --build-arg "EXTRAS=${EXTRAS:-}" .
    echo "image: $IMAGE runs monitor and retrain of commit $(git rev-parse --short HEAD)"
}

# Build a target with an SBOM and push it: publish_image TARGET, and further options of the build.
publish_image() {
    target=$1
    shift
    mkdir -p build
    docker buildx build --file deploy/Dockerfile --target "$target" --sbom=true --provenance=mode=max \
        --tag "$IMAGE" --push --metadata-file build/image.json "$@" .
    digest=$(sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' build/image.json)
    test -n "$digest" || fail "docker reported no digest for $IMAGE; see build/image.json"
    # A colon before the last slash belongs to the registry's port.
    case ${IMAGE##*/} in *:*) name=${IMAGE%:*} ;; *) name=$IMAGE ;; esac
    echo "image: $name@$digest"
    output image "$name@$digest"
    output name "$name"
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
publish)
    need_bundle
    publish_image with-bundle --build-arg "BUNDLE=$(find_bundle)"
    ;;
image-jobs) build_jobs ;;
publish-jobs)
    clone_commit
    publish_image jobs --build-arg "FOLDER=$(git rev-parse --show-prefix)" --build-arg "EXTRAS=${EXTRAS:-}"
    ;;
release)
    compose up --detach --wait --wait-timeout 120 || {
        compose logs --no-color --tail 50 service >&2 || true
        fail "$IMAGE did not become healthy; the end of its log is above"
    }
    echo "release: $IMAGE runs and is healthy"
    ;;
released) print_released ;;
fetch-log)
    mkdir -p var/predictions
    IMAGE=none compose cp service:/srv/predictions/. var/predictions
    ;;
*) fail "service.sh has no action '$1'" ;;
esac
