# Read by bash before anything else, because BASH_ENV names it in the pods of a Ray cluster's workers.
#
# KubeRay puts an init container before each worker that asks for the head by its Kubernetes name, for ever; at a site
# that name leads nowhere, and the site's time is spent. The launcher (`rayster ray start`) waits for the head instead,
# with an end. Nothing else that bash runs is touched.
case "${BASH_EXECUTION_STRING-}" in
*"Waiting for GCS to be ready"*)
    echo "rayster: the launcher waits for the head, not this init container."
    exit 0
    ;;
esac
