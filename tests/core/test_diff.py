"""Properties of the difference: applied, it leaves nothing to do; undone, it leaves what was there; and it touches only what is ours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from core.adopt import ADDRESS, follow, pair
from core.desired import Desired, TargetSpec
from core.diff import diff
from core.existing import PROTECTED, Existing
from core.frames import (
    DESIRED_GROUP,
    DESIRED_MEMBERSHIP,
    DESIRED_USER,
    EXISTING_GROUP,
    EXISTING_MEMBERSHIP,
    EXISTING_USER,
    KNOWN,
    PERSON,
    conform,
    empty,
)
from core.model import Verb
from core.plan import digest, inverse, order
from tests.shuffler import SHUFFLER

ATTRIBUTES = ("user_name", "display_name", "email")
SPEC = TargetSpec("jira", ATTRIBUTES, frozenset(verb.value for verb in Verb))
ALL_KNOWN = sum(KNOWN[name] for name in ATTRIBUTES)


@dataclass
class User:
    """An existing user, as a plain value."""

    remote_id: str
    values: dict[str, str | None]
    active: bool
    owned: bool
    person: int | None


@dataclass
class World:
    """What a target holds: users by remote id, owned groups, edges (group, remote id) with whether they are ours."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, bool] = field(default_factory=dict)
    edges: dict[tuple[str, str], bool] = field(default_factory=dict)

    def copy(self) -> World:
        """A world that may be changed alone."""
        users = {key: replace(user, values=dict(user.values)) for key, user in self.users.items()}
        return World(users, dict(self.groups), dict(self.edges))

    def frames(self) -> Existing:
        """As the shadow would give it."""
        users = sorted(self.users.values(), key=lambda user: user.remote_id)
        keys = {user.remote_id: place for place, user in enumerate(users)}
        groups = sorted(self.groups)
        numbers = {name: place for place, name in enumerate(groups)}
        return Existing(
            conform(
                pl.DataFrame(
                    [
                        {
                            "user_key": keys[user.remote_id],
                            "remote_id": user.remote_id,
                            **user.values,
                            "active": user.active,
                            "known": ALL_KNOWN,
                            "owned": user.owned,
                            "person_key": user.person,
                            "present": True,
                        }
                        for user in users
                    ],
                    schema_overrides={**EXISTING_USER},
                    infer_schema_length=None,
                )
                if users
                else empty(EXISTING_USER),
                EXISTING_USER,
            ),
            pl.DataFrame(
                [(numbers[name], f"g-{name}", name, self.groups[name], True) for name in groups],
                schema=EXISTING_GROUP,
                orient="row",
            ),
            pl.DataFrame(
                sorted((numbers[group], keys[user], owned) for (group, user), owned in self.edges.items()),
                schema=EXISTING_MEMBERSHIP,
                orient="row",
            ),
            empty(PROTECTED),
            pl.DataFrame({"group_key": list(range(len(groups)))}, schema={"group_key": pl.Int32()}).with_columns(
                grants_admin=pl.lit(value=False), implicit=pl.lit(value=False)
            ),
        )


@dataclass
class Wish:
    """What is desired of one person."""

    active: bool
    in_scope: bool
    display: str
    email: str


def desired_of(wishes: dict[int, Wish], groups: dict[str, str], edges: set[tuple[str, int]]) -> Desired:
    """Frames of the desired state; every tenant may do everything."""
    users = [
        {
            "person_key": key,
            "user_name": f"user{key}",
            "display_name": wish.display,
            "email": wish.email,
            "active": wish.active and wish.in_scope,
            "evidence": "grant" if wish.active and wish.in_scope else "explicit",
            "evidence_tenant": 1,
            "in_scope": wish.in_scope,
            "may_create": True,
            "may_update": True,
            "may_deactivate": True,
        }
        for key, wish in sorted(wishes.items())
    ]
    names = sorted(groups)
    numbers = {name: place for place, name in enumerate(names)}
    live = {key for key, wish in wishes.items() if wish.active and wish.in_scope}
    return Desired(
        conform(pl.DataFrame(users, infer_schema_length=None), DESIRED_USER) if users else empty(DESIRED_USER),
        pl.DataFrame(
            [(numbers[name], name, groups[name], 0, 1, True, None) for name in names],
            schema=DESIRED_GROUP,
            orient="row",
        ),
        pl.DataFrame(
            sorted((numbers[group], key) for group, key in edges if key in live and group in groups),
            schema=DESIRED_MEMBERSHIP,
            orient="row",
        ),
    )


def persons_of(wishes: dict[int, Wish]) -> pl.DataFrame:
    """PERSON rows for these people."""
    return conform(
        pl.DataFrame(
            {"person_key": sorted(wishes), "person_id": [f"p{key}" for key in sorted(wishes)]},
            schema={"person_key": pl.Int32(), "person_id": pl.String()},
        ),
        PERSON,
    )


def compare(world: World, desired: Desired, persons: pl.DataFrame, *, rename: bool = True):
    """The drafts in order, with values and cautions."""
    existing = world.frames()
    pairing = pair(
        existing,
        desired.users,
        persons,
        empty(ADDRESS),
        by=("user_name",),
        protected=existing.protected,
    )
    return order([diff(SPEC, existing, desired, pairing, persons, rename=rename)])


def carry_out(world: World, changes: pl.DataFrame, values: pl.DataFrame) -> World:
    """The naive oracle: one change after the other, in plain Python."""
    done = world.copy()
    after: dict[int, dict[str, str | None]] = {}
    for seq, attribute, _, wanted in values.iter_rows():
        after.setdefault(seq, {})[attribute] = wanted
    by_person = {user.person: user.remote_id for user in done.users.values() if user.owned}
    for row in changes.with_columns(pl.col(pl.Enum).cast(pl.String)).sort("seq").iter_rows(named=True):
        wanted, remote = after.get(row["seq"], {}), row["object_id"]
        match row["verb"]:
            case "adopt_user":
                done.users[remote].owned, done.users[remote].person = True, row["person_key"]
                by_person[row["person_key"]] = remote
            case "adopt_group":
                done.groups[row["group_name"]] = True
                if wanted["policy"] == "exact":
                    done.edges |= {edge: True for edge in done.edges if edge[0] == row["group_name"]}
            case "create_user":
                assert row["user_name"] not in {user.values["user_name"] for user in done.users.values()}
                full = {**dict.fromkeys(ATTRIBUTES), **wanted}
                remote = f"new{row['person_key']}"
                done.users[remote] = User(remote, full, active=True, owned=True, person=row["person_key"])
                by_person[row["person_key"]] = remote
            case "update_user" | "rename_user":
                assert done.users[remote].owned
                assert any(done.users[remote].values[name] != value for name, value in wanted.items()), "a no-op write"
                done.users[remote].values |= wanted
            case "deactivate_user" | "reactivate_user":
                assert done.users[remote].owned
                assert done.users[remote].active is (row["verb"] == "deactivate_user"), "a no-op write"
                done.users[remote].active = row["verb"] == "reactivate_user"
            case "create_group":
                assert row["group_name"] not in done.groups
                done.groups[row["group_name"]] = True
            case "delete_group":
                assert not [edge for edge in done.edges if edge[0] == row["group_name"]]
                del done.groups[row["group_name"]]
            case "add_member":
                edge = (row["group_name"], by_person[row["person_key"]])
                assert edge not in done.edges, "a no-op write"
                assert done.groups[row["group_name"]]
                done.edges[edge] = True
            case "remove_member":
                edge = (row["group_name"], by_person[row["person_key"]])
                del done.edges[edge]
    return done


names = st.sampled_from(["", "Ada", "Bo", "Žofie"])
wishes = st.builds(Wish, st.booleans(), st.booleans(), st.sampled_from(["Ada", "Bo", "Žofie"]), names)


@st.composite
def worlds(draw):
    """A desired state and a target that holds parts of it, old values, strangers, and groups of others."""
    people = draw(st.dictionaries(st.integers(0, 6), wishes, max_size=6))
    world = World()
    for key in sorted(people):
        kind = draw(st.sampled_from(["none", "owned", "owned", "found"]))
        if kind == "none":
            continue
        values = {"user_name": f"user{key}", "display_name": draw(names) or None, "email": draw(names) or None}
        if kind == "owned" and draw(st.booleans()):
            values["user_name"] = f"old{key}"
        owned = kind == "owned"
        world.users[f"r{key}"] = User(f"r{key}", values, draw(st.booleans()), owned, key if owned else None)
    for number in range(draw(st.integers(0, 2))):
        values = {"user_name": f"stranger{number}", "display_name": None, "email": None}
        world.users[f"s{number}"] = User(f"s{number}", values, active=True, owned=False, person=None)
    rules = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["exact", "add_only"]), max_size=3))
    for name in draw(st.sets(st.sampled_from(["a", "b", "c", "other"]), max_size=4)):
        world.groups[name] = draw(st.booleans())
        for remote in sorted(world.users):
            if draw(st.booleans()):
                world.edges[name, remote] = world.groups[name] and draw(st.booleans())
    pairs = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 6))
    edges = draw(st.sets(pairs, max_size=12))
    return world, people, rules, edges


@given(worlds())
def test_applied_it_leaves_nothing_to_do(sample):
    """apply(diff(existing, desired), existing) holds everything desired, and a second diff is empty."""
    world, people, rules, edges = sample
    desired, persons = desired_of(people, rules, edges), persons_of(people)
    first = compare(world, desired, persons)
    done = carry_out(world, first.changes, first.values)
    second = compare(done, desired, persons)
    assert second.changes.is_empty(), second.changes
    owners = {user.person: user for user in done.users.values() if user.owned}
    for row in desired.users.iter_rows(named=True):
        user = owners.get(row["person_key"])
        if row["active"]:
            assert user is not None
            assert user.active
            assert user.values["user_name"].casefold() == row["user_name"]
            for name in ("display_name", "email"):
                if row[name] is not None:
                    assert (user.values[name] or "").lower() == row[name].lower()
        elif user is not None:
            assert not user.active
    held = {(group, done.users[remote].person) for group, remote in done.edges if done.users[remote].owned}
    names_by_no = dict(desired.groups.select("group_no", "name").iter_rows())
    wanted = {(names_by_no[number], key) for number, key in desired.memberships.iter_rows()}
    assert wanted <= held
    live = {key for key, wish in people.items() if wish.active and wish.in_scope}
    for group, policy in rules.items():
        if policy == "exact":
            assert {edge for edge in held if edge[0] == group and edge[1] in live} == {
                edge for edge in wanted if edge[0] == group
            }


@given(worlds())
def test_what_is_not_ours_stays(sample):
    """Users that match nobody, groups without a rule and their members are the same afterwards."""
    world, people, rules, edges = sample
    desired, persons = desired_of(people, rules, edges), persons_of(people)
    first = compare(world, desired, persons)
    done = carry_out(world, first.changes, first.values)
    for remote, user in world.users.items():
        if not user.owned and user.values["user_name"].startswith("stranger"):
            assert done.users[remote] == user
    for (group, remote), owned in world.edges.items():
        if group not in rules:
            assert done.edges[group, remote] == owned
        if rules.get(group) == "add_only":
            assert (group, remote) in done.edges


@given(worlds())
def test_undone_it_leaves_what_was_there(sample):
    """The inverse of the reversible changes restores users, groups and edges; created users end deactivated, as promised."""
    world, people, rules, edges = sample
    desired, persons = desired_of(people, rules, edges), persons_of(people)
    first = compare(world, desired, persons)
    done = carry_out(world, first.changes, first.values)
    made = {f"person:p{user.person}": remote for remote, user in done.users.items() if remote.startswith("new")}
    back, values = inverse(first.changes, first.values)
    back = back.with_columns(object_id=pl.col("object_id").replace(made))
    undone = carry_out(done, back, values)
    for remote, user in world.users.items():
        blind = [name for name in ("display_name", "email") if user.values[name] is None]
        now = undone.users[remote]
        assert now.active == user.active
        assert {k: v for k, v in now.values.items() if k not in blind} == {
            k: v for k, v in user.values.items() if k not in blind
        } or first.changes.filter(~pl.col("reversible") & (pl.col("object_id") == remote)).height
    assert set(undone.groups) == set(world.groups)
    assert all(not undone.users[remote].active for remote in made.values())
    assert set(undone.edges) == set(world.edges)


@given(worlds(), SHUFFLER)
def test_digest_does_not_depend_on_the_order_of_input(sample, random):
    """Rows of every input frame shuffled: the same changes, in the same order, with the same digest."""
    world, people, rules, edges = sample
    desired, persons = desired_of(people, rules, edges), persons_of(people)
    first = compare(world, desired, persons)
    existing = world.frames()
    seed = random.randint(0, 10_000)

    def mixed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sample(fraction=1.0, shuffle=True, seed=seed)

    other = Existing(
        mixed(existing.users), mixed(existing.groups), mixed(existing.memberships), existing.protected, existing.traits
    )
    wanted = Desired(mixed(desired.users), mixed(desired.groups), mixed(desired.memberships))
    pairing = pair(other, wanted.users, mixed(persons), empty(ADDRESS), by=("user_name",), protected=existing.protected)
    again = order([diff(SPEC, other, wanted, pairing, mixed(persons), rename=True)])
    assert digest("c", again.changes, ()) == digest("c", first.changes, ())
    assert again.changes.equals(first.changes)


@given(worlds())
def test_digest_changes_with_every_pushed_value(sample):
    """Any single value after, changed, gives another fingerprint and another digest."""
    world, people, rules, edges = sample
    desired, persons = desired_of(people, rules, edges), persons_of(people)
    first = compare(world, desired, persons)
    for column in ("display_name", "email"):
        for place in range(desired.users.height):
            changed = desired.users.with_columns(
                pl.when(pl.int_range(pl.len()) == place).then(pl.lit("Zed")).otherwise(pl.col(column)).alias(column)
            )
            other = compare(world, Desired(changed, desired.groups, desired.memberships), persons)
            if other.values.equals(first.values) and other.changes.select("object_id", "verb").equals(
                first.changes.select("object_id", "verb")
            ):
                continue  # the value of somebody inactive is not pushed
            assert digest("c", other.changes, ()) != digest("c", first.changes, ())


def test_capitals_alone_are_no_difference_in_addresses():
    """A target that lower-cases addresses is not written to for ever."""
    people = {1: Wish(active=True, in_scope=True, display="Ada", email="Ada@Corp.Example")}
    world = World()
    values = {"user_name": "USER1", "display_name": "Ada", "email": "ada@corp.example"}
    world.users["r1"] = User("r1", values, active=True, owned=True, person=1)
    assert compare(world, desired_of(people, {}, set()), persons_of(people)).changes.is_empty()


def test_rename_off_is_drafted_and_marked():
    """With `map.rename` false a differing name is shown with its caution, and never a plain change."""
    people = {1: Wish(active=True, in_scope=True, display="Ada", email="a")}
    world = World()
    values = {"user_name": "hand-made", "display_name": "Ada", "email": "a"}
    world.users["r1"] = User("r1", values, active=True, owned=True, person=1)
    found = compare(world, desired_of(people, {}, set()), persons_of(people), rename=False)
    assert found.changes.get_column("verb").to_list() == ["rename_user"]
    assert found.cautions.get_column("caution").to_list() == ["rename_off"]


def test_a_second_user_of_a_person_is_only_deactivated_with_them():
    """Persons merged, each had a user: one is kept in line; when they leave, both lose access."""
    for active, wanted in ((True, ["update_user"]), (False, ["deactivate_user", "deactivate_user"])):
        people = {1: Wish(active=active, in_scope=True, display="Ada", email="a")}
        world = World()
        for remote in ("r1", "r2"):
            values = {"user_name": "user1" if remote == "r1" else "other", "display_name": "Old", "email": "a"}
            world.users[remote] = User(remote, values, active=True, owned=True, person=1)
        found = compare(world, desired_of(people, {}, set()), persons_of(people))
        assert found.changes.get_column("verb").cast(pl.String).to_list() == wanted


def test_users_follow_their_person_when_persons_merge():
    """Person 2 is no more; the account that founded it is person 1's now, and so is the user."""
    world = World()
    world.users["r2"] = User("r2", {"user_name": "u2", "display_name": None, "email": None}, True, True, 2)
    ids = pl.DataFrame(
        {"person_key": [1, 2], "founder_key": [10, 20]}, schema={"person_key": pl.Int32, "founder_key": pl.Int32}
    )
    links = pl.DataFrame(
        {"account_key": [10, 20], "person_key": [1, 1]}, schema={"account_key": pl.Int32, "person_key": pl.Int32}
    )
    moved = follow(world.frames(), persons_of({1: Wish(True, True, "", "")}), ids, links)
    assert moved.users.get_column("person_key").to_list() == [1]
