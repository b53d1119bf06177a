"""Items and decisions as files: CSV and YAML out for reviewers and for git, whole files of decisions in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from core.document import Document, read
from core.errors import ConfigError, Problem
from core.review import DIFFERENT, OPEN, SAME, Pair, contradictions, item_id, pair_of
from state.snapshot import Snapshot
from tasks.installation import Installation
from tasks.review import open_items
from tasks.review_decide import Saying, after, decide, with_sayings
from tasks.review_words import Said, contradiction, said

Row = dict[str, Any]
PAIR = ("tenant_a", "native_id_a", "tenant_b", "native_id_b")
ITEM = (*PAIR, "score", "reason")
DECIDED = (*PAIR, "decision", "why", "who", "when")
WORDS = {"accept": SAME, "same": SAME, "reject": DIFFERENT, "different": DIFFERENT, "open": OPEN}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Entry:
    """One row of a file: where it stands, and its fields as text."""

    place: str
    line: int | None
    fields: Mapping[str, object]


def export(inst: Installation, snapshot: Snapshot, path: Path, *, decisions: bool) -> int:
    """Writes the open items, or the decisions that stand, to CSV or YAML by the suffix; returns how many."""
    heard = said(inst, snapshot)
    if decisions:
        rows: list[Row] = [
            dict(zip(PAIR, (*pair[0], *pair[1]), strict=True))
            | {"decision": word.decision, "why": word.why, "who": word.decided_by}
            | {"when": f"{word.decided_at.isoformat(timespec='seconds')}Z"}
            for pair, word in heard.standing.items()
        ]
        _write(path, "decisions", DECIDED, rows)
    else:
        rows = [{name: row[name] for name in ITEM} for row in open_items(snapshot, heard)]
        _write(path, "items", ITEM, rows)
    return len(rows)


def _write(path: Path, what: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    if _kind(path) == "yaml":
        text = yaml.safe_dump({what: list(rows)}, sort_keys=False, allow_unicode=True, width=1000)
    else:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row[name]) for name in columns] for row in rows)
        text = buffer.getvalue()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be written: {error}", "Name another file")]) from error


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in YAML:
        return "yaml"
    if suffix == ".csv":
        return "csv"
    raise ConfigError([Problem(str(path), "is neither CSV nor YAML by its suffix", "Name it .csv, .yaml or .yml")])


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is quoted; `_plain` takes the quote away again."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _plain(value: object) -> object:
    quoted = isinstance(value, str) and value.startswith("'") and value[1:].startswith(FORMULA)
    return str(value)[1:] if quoted else value


def take(inst: Installation, snapshot: Snapshot | None, path: Path, *, who: str, preview: bool | None) -> Row:
    """Records the decisions of a file. ConfigError with every bad row, and then nothing is recorded.

    A row without a decision is not decided yet and left out; one that says what stands already adds nothing. A word on
    an account that was never read waits for it.
    """
    heard = said(inst, snapshot)
    entries = list(_entries(path))
    problems: list[Problem] = []
    sayings: dict[Pair, tuple[Saying, Entry]] = {}
    undecided = 0
    for entry in entries:
        if not str(entry.fields.get("decision") or "").strip():
            undecided += 1
            continue
        found = _saying(inst, entry, heard, problems, path=path, who=who)
        if found is None:
            continue
        earlier = sayings.get(found.pair)
        if earlier is not None and earlier[0].word != found.word:
            text = f"says {found.word}, and line {earlier[1].line} says {earlier[0].word} of the same accounts"
            problems.append(Problem(entry.place, text, "Keep one of the two", entry.line))
        elif earlier is None:
            sayings[found.pair] = (found, entry)
    problems += _contradicting(heard, sayings, inst.clock())
    if problems:
        raise ConfigError(problems)
    done = decide(inst, snapshot, heard, [saying for saying, _ in sayings.values()], preview=preview)
    return done | {"file": str(path), "rows": len(entries), "undecided": undecided}


def _contradicting(heard: Said, sayings: Mapping[Pair, tuple[Saying, Entry]], now: datetime) -> Iterator[Problem]:
    fresh = [saying for saying, _ in sayings.values()]
    for each in contradictions(after(heard, fresh)):
        mine = [pair for pair in (each.different, *each.path) if pair in sayings]
        if mine:
            entry = sayings[mine[0]][1]
            text = f"contradicts: {contradiction(each, with_sayings(heard, fresh, now))['problem']}"
            yield Problem(
                entry.place, text, f"Take one back; items {', '.join(item_id(*pair)[:8] for pair in mine)}", entry.line
            )


def _saying(
    inst: Installation, entry: Entry, heard: Said, problems: list[Problem], *, path: Path, who: str
) -> Saying | None:
    """The word of one row; null after its problems were added."""
    before = len(problems)

    def wrong(field: str, text: str, remedy: str) -> None:
        problems.append(Problem(f"{entry.place}.{field}", text, remedy, entry.line))

    values: dict[str, str] = {}
    for name in PAIR:
        value = _plain(entry.fields.get(name))
        if value is None or value == "":
            wrong(name, "is missing", "Name both accounts by tenant and native_id")
        elif not isinstance(value, str):
            wrong(name, f"{value!r} is a {type(value).__name__}", "Put it in quotes: an id is text")
        else:
            values[name] = value
    renamed = {each.common.renamed_from: name for name, each in inst.config.tenants.items() if each.common.renamed_from}
    for name in ("tenant_a", "tenant_b"):
        tenant = values.get(name)
        if tenant is not None and tenant not in inst.config.tenants and tenant not in renamed:
            wrong(name, f"tenant {tenant} does not exist", f"Known: {', '.join(sorted(inst.config.tenants))}")
        elif tenant is not None:
            values[name] = tenant if tenant in inst.config.tenants else renamed[tenant]
    word = str(_plain(entry.fields["decision"])).strip().lower()
    if word not in WORDS:
        wrong("decision", f"{word!r} is no decision", f"Say one of {', '.join(WORDS)}")
    when = _when(entry.fields.get("when"), inst.clock())
    if when is None and entry.fields.get("when"):
        wrong(
            "when",
            f"{entry.fields['when']!r} is no time that has passed",
            "Write it as 2026-11-02T09:00:00Z, or leave it out",
        )
    if len(values) == len(PAIR) and (values["tenant_a"], values["native_id_a"]) == (
        values["tenant_b"],
        values["native_id_b"],
    ):
        wrong("native_id_b", "is the same account", "Name two accounts")
    if len(problems) > before:
        return None
    pair = pair_of((values["tenant_a"], values["native_id_a"]), (values["tenant_b"], values["native_id_b"]))
    why = str(_plain(entry.fields.get("why")) or "").strip() or f"imported from {path.name}"
    said_by = str(_plain(entry.fields.get("who")) or "").strip() or who
    # Its own time counts only for the first word on a pair: a later one must come after what it replaces.
    return Saying(pair, WORDS[word], why, said_by, None if heard.of(pair) else when)


def _when(value: object, now: datetime) -> datetime | None:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value or "").strip())
    except ValueError:
        return None
    at = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return at if at <= now else None


def _entries(path: Path) -> Iterator[Entry]:
    kind = _kind(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error}", "Name a readable UTF-8 file")]) from error
    yield from _of_yaml(read(text, name=path.name), path) if kind == "yaml" else _of_csv(text, path)


def _of_csv(text: str, path: Path) -> Iterator[Entry]:
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _columns(header, path)
        began = reader.line_num + 1
        for row in reader:
            line, began = began, reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if len(row) > len(header):
                raise ConfigError(
                    [
                        Problem(
                            f"{path.name}.{line}",
                            f"has {len(row)} cells, the header {len(header)}",
                            "Quote cells",
                            line,
                        )
                    ]
                )
            yield Entry(path.name, line, dict(zip(header, row, strict=False)))
    except csv.Error as error:
        raise ConfigError([Problem(path.name, f"is no CSV: {error}", "Mend that line", reader.line_num)]) from error


def _columns(header: Sequence[str], path: Path) -> None:
    if missing := [name for name in (*PAIR, "decision") if name not in header]:
        remedy = f"Columns are {', '.join(DECIDED)}; score and reason are left alone"
        raise ConfigError([Problem(path.name, f"has no column {', '.join(missing)}", remedy, 1)])


def _of_yaml(document: Document, path: Path) -> Iterator[Entry]:
    name = "decisions" if "decisions" in document.data else "items"
    rows = document.data.get(name)
    if not isinstance(rows, list):
        raise ConfigError([Problem(path.name, "holds no list of decisions", "Begin with `decisions:` and a list", 1)])
    for place, row in enumerate(rows):
        at = f"{name}.{place}"
        if not isinstance(row, dict):
            raise ConfigError([Problem(at, "is no mapping", f"Give {', '.join(DECIDED)}", document.line(at))])
        yield Entry(at, document.line(at), row)
