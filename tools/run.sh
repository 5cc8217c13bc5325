#!/usr/bin/env bash
# The demo: one node on the embedded database, and a small simulated fleet so that the console is alive.
set -eu
cd "$(dirname "$0")/.."
data=${DATA:-data}
args=(serve --demo --data "$data")
if [ "${TLS:-0}" = 1 ]; then # phones on the LAN: every address of this machine, self-signed certificate
  args+=(--tls)
  export HEYI_HTTP_LISTEN=${HEYI_HTTP_LISTEN:-0.0.0.0:8480}
fi
if [ -n "${CONFIG:-}" ]; then args+=(--config "$CONFIG"); fi
build/heyi "${args[@]}" &
server=$!
fleet=
if [ "${FLEET:-24}" != 0 ]; then
  build/fleetsim run -demo "$data/demo.json" -size "${FLEET:-24}" &
  fleet=$!
fi
stop() { kill -TERM ${fleet:+"$fleet"} "$server" 2>/dev/null || true; }
trap stop INT TERM
status=0
wait "$server" || status=$?
stop
wait || true
exit "$status"
