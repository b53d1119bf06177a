"""A real PostgreSQL of its own for tests: made in a temporary folder, reached by a socket there, gone for certain afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import asyncpg
import pytest

from connectors.inbox.statements import COPIED

FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
ACCOUNTS = ("postgres", "nobody")  # a server refuses to run as root


class Postgres:
    """One server. `kill` is SIGKILL to all of it, `start` recovers."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._more: list[str] = []
        self._empty: list[str] = []
        self._port = 5432  # of the socket: a name in its folder, no port of this machine
        self.folder = Path(tempfile.mkdtemp(prefix="onefold-pg-"))
        self._as = []
        if os.getuid() == 0:
            known = {each.pw_name: each for each in pwd.getpwall()}
            account = next(known[name] for name in ACCOUNTS if name in known)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        self._process = None
        self._run("initdb", "-D", self.folder / "data", "-U", "onefold", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")  # fmt: skip
        # a language whose order is not that of code points, if this machine has one: the store must not care
        self._tell("CREATE DATABASE inbox TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'")

    def _command(self, program, *arguments):
        ends_with_us = "--pdeathsig=INT" if program == "postgres" else "--pdeathsig=KILL"
        return ["setpriv", *self._as, ends_with_us, str(self._programs / program), *map(str, arguments)]

    def _run(self, program, *arguments, text=None):
        done = subprocess.run(self._command(program, *arguments), cwd="/", input=text, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _tell(self, sql):
        """A statement in single-user mode, before the server runs."""
        self._run("postgres", "--single", "-D", self.folder / "data", "postgres", text=sql + "\n")

    def start(self):
        """Runs it and waits until it answers."""
        log = (self.folder / "log").open("ab")
        settings = ["listen_addresses=", "max_connections=80", "shared_buffers=64MB", *self._more]
        options = ["-k", self.folder, *(word for each in settings for word in ("-c", each))]
        self._process = subprocess.Popen(
            self._command("postgres", "-D", self.folder / "data", *options),
            cwd="/", stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        until = time.monotonic() + 30
        while True:
            try:
                self.sql("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return self

    def stop(self, how=signal.SIGINT):
        """A fast shutdown: it ends all sessions."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(30)

    def kill(self):
        """All its processes at once, without a word."""
        doomed = [self._process.pid, *_children(self._process.pid)]
        for each in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait(30)
        while any(_stat(each) for each in doomed):
            time.sleep(0.01)

    def remove(self):
        """Ends it and takes its folder away."""
        try:
            self.stop()
        finally:
            if self._process is not None and self._process.poll() is None:
                self.kill()
            shutil.rmtree(self.folder)

    def with_tls(self):
        """Listens on loopback too, with a certificate of its own; gives the address there and the file of its authority."""
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
             "-days", "2", "-subj", "/CN=db", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
        )  # fmt: skip
        owner = self.folder.stat()
        for each in (key, certificate):
            os.chown(each, owner.st_uid, owner.st_gid)
        key.chmod(0o600)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._more = (
            f"listen_addresses=127.0.0.1 port={port} ssl=on ssl_cert_file={certificate} ssl_key_file={key}".split()
        )
        rules = self.folder / "data/pg_hba.conf"
        rules.write_text("hostnossl all all 127.0.0.1/32 reject\n" + rules.read_text())
        self.stop()
        self._port = port
        self.start()
        return f"postgresql://onefold@127.0.0.1:{port}/inbox", certificate

    @property
    def url(self):
        return f"postgresql://onefold@/inbox?host={self.folder}&port={self._port}"

    def schema(self):
        """The address of an empty place for one inbox: a fresh schema, or one that another test has given back."""
        if self._empty:
            return self._empty.pop()
        name = f"s{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE SCHEMA {name}")
        return f"{self.url}&search_path={name}"

    def give_back(self, url):
        """Empties it for the next test, which costs a tenth of making the tables anew."""
        name = url.rpartition("=")[2]
        tables = {row[0] for row in self.sql("SELECT tablename FROM pg_tables WHERE schemaname = $1", name)}
        if tables == set(COPIED):
            emptied = ", ".join(f"t{place} AS (DELETE FROM {table})" for place, table in enumerate(sorted(tables)))
            self.sql(f"WITH {emptied} SELECT 1", url=url)
            self._empty.append(url)
        else:
            self.sql(f"DROP SCHEMA {name} CASCADE", url=f"{self.url}&lock_timeout=10s")

    def sql(self, statement, *parameters, url=None):
        """Rows of one statement."""
        return asyncio.run(_asked(url or self.url, statement, parameters))


async def _asked(url, statement, parameters):
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *parameters)]
    finally:
        await connection.close()


def _stat(number):
    """State, parent and more of a process; empty when it is gone."""
    try:
        found = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if found[0] == "Z" else found


def _children(number):
    every = [int(each.name) for each in Path("/proc").glob("[0-9]*")]
    return [each for each in every if _stat(each)[1:2] == [str(number)]]


def postgres():
    """A server, started; skips the test with the reason when there is none to start."""
    programs = next((each for each in FOLDERS if (each / "initdb").exists() and (each / "postgres").exists()), None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed (on Debian the package `postgresql`)")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed; without it a server could outlive its tests")
    return Postgres(programs).start()
