"""Is the process of this container alive? `healthcheck.py` asks the web for itself alone, `healthcheck.py worker` looks
for a worker's sign of life in the last minute. Exits 0 when well."""

import os
import sys
import urllib.request


def web() -> bool:
    """The web answers. It is asked as the proxy asks: production redirects plain http and knows one name."""
    host = os.environ["DEFTMAIL_BASE_URL"].split("//", 1)[-1].split("/")[0]
    url = f"http://127.0.0.1:{os.environ.get('DEFTMAIL_WEB_PORT', '8000')}/healthz?part=web"
    headers = {"Host": host, "X-Forwarded-Proto": "https"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
        return bool(answer.status == 200)


def worker() -> bool:
    """A worker has said within a minute that it lives."""
    import psycopg

    with psycopg.connect(os.environ["DEFTMAIL_DATABASE_SYSTEM_URL"], connect_timeout=5) as connection:
        found = connection.execute(
            "select 1 from procrastinate_workers where last_heartbeat > now() - interval '1 minute' limit 1"
        )
        return found.fetchone() is not None


if __name__ == "__main__":
    sys.exit(0 if (worker if "worker" in sys.argv[1:] else web)() else 1)
