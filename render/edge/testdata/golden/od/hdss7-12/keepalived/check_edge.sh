#!/bin/sh
# Rendered by evenkeel edge for hdss7-12. Changes here are overwritten.
#
# Is this host fit to hold 10.4.7.10? keepalived runs this every 1 seconds;
# exit 0 means yes. It asks about nginx on this host, and not about what stands
# behind it: a server behind both hosts that is down would take the VIP from both.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

for port in 80 443 7443; do
    # the filter compares the whole number, and the local end only
    if [ -z "$(ss -Hltn "sport = :$port")" ]; then
        echo "nothing listens on port $port" >&2
        exit 1
    fi
done

# A port that is listened on says that nginx was started, an answer that it works.
if ! curl -fsS --noproxy '*' --max-time 2 -o /dev/null -H 'Host: edge-health.invalid' http://127.0.0.1/; then
    echo "nginx does not answer on port 80" >&2
    exit 1
fi
