#!/bin/sh
# Makes deploy/.env, deploy/deftmail.env, deploy/owner.env and deploy/secrets/: once. What is there is kept.
# Usage: deploy/make-secrets.sh OPERATOR_DOMAIN MAIL_HOST WEB_NAME     (example.com mail.example.com app.example.com)
set -eu
[ $# -eq 3 ] || { echo "usage: $0 OPERATOR_DOMAIN MAIL_HOST WEB_NAME" >&2; exit 2; }
domain=$1 mail=$2 web=$3
cd "$(dirname "$0")"
umask 077
if [ -e secrets ]; then echo "deploy/secrets is there already: nothing was changed" >&2; exit 1; fi

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
mkdir secrets
owner=$(random) app=$(random) system=$(random) redis=$(random) stalwart=$(random)
printf 'admin:%s' "$(random)" >secrets/stalwart_admin
printf '%s' "$stalwart" >secrets/stalwart_database
random >secrets/postgres_superuser
printf '%s' "$redis" >secrets/redis
printf 'OWNER=%s\nAPP=%s\nSYSTEM=%s\nMTA=%s\nBACKUP=%s\nSTALWART=%s\n' \
    "$owner" "$app" "$system" "$(random)" "$(random)" "$stalwart" >secrets/database_roles
# Compose binds these files as they are, and each container reads them as its own user: the folder keeps others out.
chmod 644 secrets/*

printf 'DEFTMAIL_MAIL_HOST=%s\nDEFTMAIL_WEB_NAME=%s\n' "$mail" "$web" >.env
cat >owner.env <<END
DEFTMAIL_DATABASE_OWNER_URL=postgresql://deftmail_owner:$owner@postgres:5432/deftmail
END
cat >deftmail.env <<END
DEFTMAIL_MODE=production
DEFTMAIL_SECRET_KEY=$(random)
DEFTMAIL_ENCRYPTION_KEYS=k1:$(head -c 32 /dev/urandom | base64)
DEFTMAIL_DATABASE_URL=postgresql://deftmail_app:$app@postgres:5432/deftmail
DEFTMAIL_DATABASE_SYSTEM_URL=postgresql://deftmail_system:$system@postgres:5432/deftmail
DEFTMAIL_REDIS_URL=redis://:$redis@redis:6379/0
DEFTMAIL_CACHE_URL=redis://:$redis@cache:6379/0
DEFTMAIL_OPERATOR_DOMAIN=$domain
DEFTMAIL_MAIL_HOST=$mail
DEFTMAIL_BASE_URL=https://$web
DEFTMAIL_TRUSTED_PROXIES=1
DEFTMAIL_SUPPORT_EMAIL=support@$domain
DEFTMAIL_SMTP_SYSTEM=stalwart:10027
DEFTMAIL_IMAP=$mail:143
DEFTMAIL_IMAPS=$mail:993
DEFTMAIL_SUBMISSION=$mail:587
DEFTMAIL_SUBMISSIONS=$mail:465
DEFTMAIL_MX=$mail:25
DEFTMAIL_ENGINE=stalwart
DEFTMAIL_STALWART_URL=http://stalwart:8080
DEFTMAIL_STALWART_CALLBACK_URL=http://nginx:8081
END
echo "made: .env, deftmail.env, owner.env, secrets/ (keep a copy off this machine: without deftmail.env no backup can be read)"
