#!/usr/bin/env bash
# A mesh on loopback: one etcd, a controller, and N routers, filters and dispatchers. Ends with all of it on Ctrl-C.
# Usage: deploy/dev/mesh.sh [N]   (default 2; BINARY names the binary, default target/debug/rocketbridge)
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-2}
binary=${BINARY:-${CARGO_TARGET_DIR:-target}/debug/rocketbridge}
[[ -x $binary ]] || { echo "mesh.sh: $binary is missing; run make build, or name one with BINARY" >&2; exit 1; }
name=dev-$$
pids=()
stop() {
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    tests/etcd/etcd.sh down --name "$name" >/dev/null
}
trap stop EXIT INT TERM

tests/etcd/etcd.sh install >/dev/null
endpoints=$(tests/etcd/etcd.sh up --name "$name" --members 1 --base-port $((21000 + RANDOM % 8000)) | sed -n 's/^ETCD_ENDPOINTS=//p')
echo "etcd $endpoints"
start() {
    "$binary" "$1" --etcd "$endpoints" --listen "$2" > >(sed -u "s/^/$1 /") &
    pids+=("$!")
}
start controller 127.0.0.1:9080
for _ in $(seq "$count"); do
    for role in router filter dispatcher; do start $role 127.0.0.1:0; done
done
wait
