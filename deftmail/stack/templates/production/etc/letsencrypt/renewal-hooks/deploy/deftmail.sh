#!/bin/sh
# After each renewal: a copy that Cyrus can read, then the servers take it up.
set -eu
install -d -m 0750 -o root -g mail @{etc}/tls
install -m 0644 "$RENEWED_LINEAGE/fullchain.pem" @{etc}/tls/fullchain.pem
install -m 0640 -o root -g mail "$RENEWED_LINEAGE/privkey.pem" @{etc}/tls/privkey.pem
systemctl reload nginx postfix
systemctl restart deftmail-cyrus
