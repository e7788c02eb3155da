"""DeftMail: email hosting for companies."""
