"""Sources of kind `entra` over the Graph stand-in, for the tests that read them."""

from datetime import datetime

from connectors.source import SourceContext
from connectors.sources.entra import Entra, EntraSettings
from state.landing import read_part
from tasks.extract import extract

NOW = datetime.fromisoformat("2026-11-24T09:00")


def opened(wire, tenant="corp", pem=None, secret=None, **settings):
    """A source of a tenant of the stand-in behind the wire."""
    known = wire.standin.announcement()
    given = known["tenants"][tenant]
    secrets = {"certificate": pem} if pem else {"client_secret": secret or given["client_secret"]}
    proof = {} if pem else {"client_secret": "env:SECRET"}
    found = EntraSettings(
        **{"tenant_id": given["tenant_id"], "client_id": given["client_id"], **proof},
        **{"url": known["url"], "login_url": known["login_url"], **settings},
    )
    return Entra(found, SourceContext(tenant, NOW, secrets, transport=wire.transport()))


def read(source, root, extract_id, cursor=None, **more):
    """One extract, and its landed accounts, groups and edges."""
    given = {"full": cursor is None, "now": lambda: NOW, "sleep": lambda _seconds: None} | more
    manifest = extract(source, tenant="corp", root=root, extract_id=extract_id, cursor_before=cursor, **given)
    source.close()
    return manifest, *(read_part(root, manifest, name) for name in ("accounts", "groups", "memberships"))
