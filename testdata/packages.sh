#!/usr/bin/env bash
# Installs what the tests drive and Go modules cannot bring: nginx, keepalived,
# a browser, ZooKeeper; with the argument lab, what the lab's nodes need too. Does
# nothing where they are there, or where apt-get or the right to use it is not:
# the tests that need them then say so.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("${@:2}"); }
PATH=$PATH:/usr/sbin:/sbin
need nginx nginx libnginx-mod-stream
need keepalived keepalived
need chromium chromium
need ip iproute2
need curl curl
need jq jq
need openssl openssl
[ -e /usr/share/java/zookeeper.jar ] || missing+=(zookeeper)
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
if [ "${1:-}" = lab ]; then
	need runc runc
	need nft nftables
	need iptables iptables
	need conntrack conntrack
	need busybox busybox-static
	need prometheus prometheus
	[ -e /usr/share/java/zookeeper.jar ] || missing+=(zookeeper)
fi
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "packages: no apt-get; install by hand: ${missing[*]}" >&2
	exit 0
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo="sudo -n"
	$sudo true 2>/dev/null || { echo "packages: not root; install by hand: ${missing[*]}" >&2; exit 0; }
fi
# policy-rc.d: the packages' services are for the tests to start, not for the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod +x $policy
	trap '$sudo rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q >/dev/null
$sudo apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
