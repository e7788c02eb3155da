"""Cyrus with Postfix and rspamd, the engine of the local stack and of one production box."""
