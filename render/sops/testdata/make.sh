#!/usr/bin/env bash
# Makes the fixtures anew with the real sops and age-keygen, which it finds on PATH
# (go build github.com/getsops/sops/v3/cmd/sops filippo.io/age/cmd/age-keygen, in a
# module of its own). NAME.EXT is what sops encrypted, NAME.EXT.want what sops
# decrypts of it. The keys are for these files alone.
set -euo pipefail
cd "$(dirname "$0")"
[ -e keys.txt ] || age-keygen -o keys.txt
[ -e other.txt ] || age-keygen -o other.txt
[ -e pq.txt ] || age-keygen -pq -o pq.txt
one=$(age-keygen -y keys.txt) two=$(age-keygen -y other.txt) pq=$(age-keygen -y pq.txt)
export SOPS_AGE_KEY_FILE=$PWD/keys.txt XDG_CONFIG_HOME=$PWD/nowhere HOME=$PWD/nowhere

# encrypt NAME RECIPIENTS [RULE]: stdin to NAME and NAME.want. RULE is a line of a
# creation rule; not all of them have a flag.
encrypt() {
	local name=$1 recipients=$2 rule=${3:-} key=keys.txt
	cat > "$name"
	printf 'creation_rules:\n  - age: %s\n    %s\n' "$recipients" "$rule" > rules.tmp
	sops --config rules.tmp encrypt --in-place "$name"
	rm rules.tmp
	[ "$recipients" != "$pq" ] || key=pq.txt
	SOPS_AGE_KEY_FILE=$PWD/$key sops decrypt "$name" > "$name.want"
}

encrypt types.yaml "$one" <<'E'
# about the file
text: hunter2 # beside a value
empty: ""
number: 42
negative: -7
float: 1.5
small: 1.0e-3
yes: true
no: false
nothing: null
time: 2026-11-24T10:00:00Z
chinese: 密码 und Grüße
quotes: "a \"quoted\" text: #no comment\t"
lines: |
  -----BEGIN TEST-----
  abcdef
  -----END TEST-----
# above a list
list:
  # above an item
  - one
  - 2 # beside an item
  - [3, {deep: four}]
  - true
nested:
  level: {more: five, "a key: with a colon": six}
anchor: &a {x: seven}
alias: *a
public_unencrypted: eight
E
encrypt types.json "$one" <<'E'
{"text": "hunter2", "empty": "", "number": 42, "big": 9007199254740993, "float": 1.5, "yes": true, "nothing": null,
 "escaped": "a \"b\" \u5bc6 \\ \/ \n <&>", "list": ["one", 2, [3.25], {"deep": false}], "nested": {"level": {"more": "five"}}, "none": {}, "nobody": []}
E
encrypt flat.env "$one" <<'E'
# a comment
DB_USER=shop
DB_PASSWORD=hunter2
DB_LINES=one\ntwo
EMPTY=
URL=mysql://h:3306/?a=b=c
E
encrypt manifest.yaml "$one" 'encrypted_regex: ^(data|stringData)$' <<'E'
apiVersion: v1
kind: Secret
metadata: {name: db}
type: Opaque
stringData: {password: hunter2}
data: {token: aHVudGVyMg==}
E
encrypt suffix.yaml "$one" 'unencrypted_suffix: _plain' <<'E'
password: hunter2
user_plain: shop
nested_plain: {user: shop}
E
encrypt only-suffix.yaml "$one" 'encrypted_suffix: _secret' <<'E'
password_secret: hunter2
user: shop
nested_secret: {token: hunter3}
E
encrypt but-regex.json "$one" 'unencrypted_regex: ^user' <<'E'
{"password": "hunter2", "user": "shop", "user_list": ["a", 1]}
E
encrypt comment.yaml "$one" 'encrypted_comment_regex: sops:enc' <<'E'
# sops:enc
password: hunter2
user: shop
E
encrypt but-comment.yaml "$one" 'unencrypted_comment_regex: sops:plain' <<'E'
password: hunter2
# sops:plain
user: shop
E
encrypt mac-only.yaml "$one" $'encrypted_regex: ^password$\n    mac_only_encrypted: true' <<'E'
password: hunter2
user: shop
E
encrypt two.yaml "$one,$two" <<'E'
password: hunter2
E
encrypt pq.yaml "$pq" <<'E'
password: hunter2
E
encrypt many.yaml "$one" <<'E'
password: hunter2
---
password: hunter3
list: [a]
E
encrypt db.yaml "$one" <<'E'
username: shop
password: correct-horse
port: 3306
E
