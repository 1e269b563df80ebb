#!/bin/sh
# Rendered by evenkeel edge for hdss7-11: installs the files beside it on this host.
#
# It saves what it replaces, runs nginx -t and keepalived -t, reloads both, waits for
# the health check, and puts everything back when one of these fails. Run again it
# changes nothing.
#
# Exit codes: 0 installed, or nothing to do; 1 something failed, all was put back;
# 2 refused before anything was changed.
set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

host=hdss7-11
address=10.4.7.11
interface=eth0
marker='Rendered by evenkeel edge'
include='include /etc/nginx/evenkeel-stream.conf;'
saved=/var/backups/evenkeel-edge/$(date -u +%Y%m%dT%H%M%SZ)-$$
here=$(cd "$(dirname "$0")" && pwd)

# path and mode of each file, below /etc
files='
nginx/conf.d/00-evenkeel.conf 644
nginx/conf.d/od.com.conf 644
nginx/conf.d/dashboard.od.com.conf 644
nginx/evenkeel-stream.conf 644
nginx/stream.d/apiserver.conf 644
keepalived/keepalived.conf 644
keepalived/check_edge.sh 755
'

say() { echo "$host: $*"; }
refuse() {
    echo "$host: refused: $*" >&2
    exit 2
}

main() {
    may_run
    may_install
    find_changes
    state=untouched
    trap finish EXIT
    trap 'exit 1' HUP INT TERM
    if [ -n "$changes" ]; then
        save
        state=changed
        install_files
    fi
    test_files
    start nginx "$nginx_changed"
    wait_for "the health check" /etc/keepalived/check_edge.sh
    start keepalived "$keepalived_changed"
    wait_for "keepalived" running keepalived
    state=done
}

# may_run refuses the wrong user, a host that lacks a program, and the wrong host.
may_run() {
    [ "$(id -u)" = 0 ] || refuse "run it as root"
    for program in nginx keepalived curl ss ip install; do
        command -v "$program" >/dev/null ||
            refuse "$program is not installed (Debian: apt-get install nginx libnginx-mod-stream keepalived curl iproute2)"
    done
    [ -n "$(ip -4 -o address show dev "$interface" to "$address/32" 2>/dev/null)" ] ||
        refuse "$address is not an address of $interface here: is this $host?"
}

# may_install refuses what nginx -t would find later, with a message that helps.
may_install() {
    [ -f /etc/nginx/nginx.conf ] || refuse "/etc/nginx/nginx.conf is not there"
    if grep -Eq '^[[:space:]]*stream[[:space:]]*([{]|$)' /etc/nginx/nginx.conf; then
        refuse "nginx.conf has a stream block of its own, nginx takes one: move what is in it to a file in /etc/nginx/stream.d, and delete it"
    fi
    may_serve dashboard.od.com /etc/nginx/certs/dashboard.od.com.crt /etc/nginx/certs/dashboard.od.com.key
}

# may_serve HOST CERTIFICATE KEY refuses a TLS host without a certificate for it.
may_serve() {
    [ -r "$2" ] || refuse "the certificate of $1 is not at $2 (README.txt says where it comes from)"
    [ -r "$3" ] || refuse "the key of the certificate of $1 is not at $3"
    if command -v openssl >/dev/null &&
        ! openssl x509 -in "$2" -noout -checkhost "$1" | grep -q 'does match'; then
        refuse "the certificate at $2 does not hold the name $1"
    fi
}

# find_changes sets changes to the paths below /etc that are going to be touched.
find_changes() {
    changes= nginx_changed= keepalived_changed= old=
    while read -r path mode; do
        [ -n "$path" ] || continue
        [ -f "$here/$path" ] || refuse "$here/$path is not there: copy the whole directory"
        same "$path" "$mode" || changes="$changes $path"
    done <<LIST
$files
LIST
    # what an earlier run installed and this one does not
    for path in /etc/nginx/conf.d/*.conf /etc/nginx/stream.d/*.conf; do
        head -n 3 "$path" 2>/dev/null | grep -q "$marker" || continue
        echo "$files" | grep -Fq "${path#/etc/} " || old="$old ${path#/etc/}"
    done
    changes="$changes$old"
    grep -Fxq "$include" /etc/nginx/nginx.conf || changes="$changes nginx/nginx.conf"
    # Debian's welcome page is a default server, nginx takes one per port
    [ ! -L /etc/nginx/sites-enabled/default ] || changes="$changes nginx/sites-enabled/default"
    case "$changes" in *nginx/*) nginx_changed=yes ;; esac
    case "$changes" in *keepalived/*) keepalived_changed=yes ;; esac
    [ -n "$changes" ] || say "nothing to change"
}

same() {
    cmp -s "$here/$1" "/etc/$1" && [ "$(stat -c %a "/etc/$1")" = "$2" ]
}

save() {
    (umask 077 && mkdir -p "$saved")
    for path in $changes; do
        if [ -e "/etc/$path" ] || [ -L "/etc/$path" ]; then
            mkdir -p "$saved/$(dirname "$path")"
            cp -a "/etc/$path" "$saved/$path"
        fi
    done
}

install_files() {
    while read -r path mode; do
        [ -n "$path" ] || continue
        case " $changes " in *" $path "*) ;; *) continue ;; esac
        say "installing /etc/$path"
        # beside it, then over it: nginx never reads half a file
        install -D -o root -g root -m "$mode" "$here/$path" "/etc/$path.new"
        mv -f "/etc/$path.new" "/etc/$path"
    done <<LIST
$files
LIST
    for path in $old nginx/sites-enabled/default; do
        case " $changes " in *" $path "*) ;; *) continue ;; esac
        say "removing /etc/$path"
        rm -f "/etc/$path"
    done
    case " $changes " in *" nginx/nginx.conf "*)
        say "adding to /etc/nginx/nginx.conf: $include"
        cp -a /etc/nginx/nginx.conf /etc/nginx/nginx.conf.new
        printf '\n%s\n' "$include" >>/etc/nginx/nginx.conf.new
        mv -f /etc/nginx/nginx.conf.new /etc/nginx/nginx.conf
        ;;
    esac
}

# test_files runs what nginx and keepalived have to say. nginx only warns where two
# files serve one name, and then takes the first.
test_files() {
    if ! report=$(nginx -t 2>&1) || echo "$report" | grep -q 'conflicting server name'; then
        say "nginx -t says:"
        echo "$report"
        exit 1
    fi
    if ! report=$(keepalived -t 2>&1); then
        say "keepalived -t says:"
        echo "$report"
        exit 1
    fi
}

# start SERVICE CHANGED reloads what runs, if it changed, and starts what does not.
start() {
    if ! running "$1"; then
        say "starting $1"
        if systemd; then systemctl start "$1"; else "$1"; fi
    elif [ -n "$2" ]; then
        say "reloading $1"
        if systemd; then systemctl reload "$1"; else kill -HUP "$(cat "/run/$1.pid")"; fi
    fi
    if systemd; then systemctl --quiet enable "$1"; fi
}

systemd() { [ -d /run/systemd/system ]; }

running() {
    if systemd; then
        systemctl --quiet is-active "$1"
    else
        [ -s "/run/$1.pid" ] && kill -0 "$(cat "/run/$1.pid")" 2>/dev/null
    fi
}

# wait_for WHAT COMMAND... gives the command ten seconds to succeed.
wait_for() {
    what=$1
    shift
    # for a moment after a reload the old workers of nginx still answer
    [ -z "$changes" ] || sleep 1
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        if "$@" 2>/dev/null; then return; fi
        sleep 1
    done
    say "$what fails:"
    "$@" || exit 1
}

# finish runs at every exit, and puts everything back where the work is not done.
finish() {
    code=$?
    trap - EXIT HUP INT TERM
    set +e
    case $state in
    done)
        [ -z "$changes" ] || say "installed; what was there before is in $saved"
        exit 0
        ;;
    untouched) exit "$code" ;;
    esac
    for path in $changes; do
        rm -f "/etc/$path"
        if [ -e "$saved/$path" ] || [ -L "$saved/$path" ]; then cp -a "$saved/$path" "/etc/$path"; fi
    done
    if running nginx; then start nginx yes; fi
    if running keepalived; then start keepalived "$keepalived_changed"; fi
    say "failed: everything is as it was before" >&2
    exit 1
}

main
