"""The local servers: PostgreSQL, Redis, Knot DNS, Cyrus, Postfix, rspamd and DeftMail's own processes.

Nothing here imports Django or another room, so that the servers can be started, looked at and stopped
while the application itself is broken.
"""
