"""Explaining: the reasons agree with what merging did, whatever it was given."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from core.explain import SURVIVING, attributes
from core.frames import ACCOUNT, BIT, LINK, PERSON_ID, conform
from core.match import Matching
from core.merge import MergeSettings, merge
from core.model import Right, TenantFacts, TenantMode
from core.settings import AttributeRule
from tests.core.test_merge import NOW, TODAY

LOOKED_AT = ("display_name", "title")


def tenant(key: int, *, silent: bool, retired: bool) -> TenantFacts:
    return TenantFacts(
        tenant_key=key,
        name=f"t{key}",
        rank=key % 3,
        mode=TenantMode.LIVE,
        may=frozenset(Right) - ({Right.ATTRIBUTES} if silent else set()),
        verified_domains=frozenset(),
        employee_number_issuer=f"t{key}",
        retired=retired,
    )


account = st.fixed_dictionaries(
    {
        "tenant_key": st.integers(1, 4),
        "user_type": st.sampled_from(["member", "guest", None]),
        "active": st.booleans(),
        "gone": st.sampled_from([None, None, "absent", "explicit"]),
        "display_name": st.sampled_from(["Ada", "Bo", None]),
        "title": st.sampled_from(["Dr", None]),
        "spoken": st.sets(st.sampled_from(LOOKED_AT)),
        "native_id": st.sampled_from(["a", "b", "c", "d"]),
    }
)


@given(
    st.lists(account, min_size=1, max_size=6),
    st.tuples(*[st.tuples(st.booleans(), st.booleans())] * 4),
    st.dictionaries(st.sampled_from(LOOKED_AT), st.lists(st.sampled_from(["t1", "t2", "t3", "t4"]), unique=True)),
)
def test_the_winner_that_is_told_is_the_one_that_won(rows, tenants, prefer):
    """For every person: the account and the value that explain names are those that merge wrote."""
    facts = [tenant(key, silent=silent, retired=retired) for key, (silent, retired) in enumerate(tenants, 1)]
    full = [
        {
            **row,
            "account_key": place,
            "native_id": f"{row['native_id']}{place}",
            "present": sum(BIT[name] for name in (*row["spoken"], "active", "user_type")),
        }
        for place, row in enumerate(rows, 1)
    ]
    for row in full:
        row.update({name: None for name in LOOKED_AT if name not in row["spoken"]})
    accounts = conform(pl.DataFrame(full, infer_schema_length=None), ACCOUNT)
    keys = accounts["account_key"].to_list()
    links = pl.DataFrame(
        {"account_key": keys, "person_key": [1] * len(keys), "rule": "founding", "evidence": None, "class": None},
        schema=LINK,
    )
    ids = pl.DataFrame({"person_key": [1], "person_id": ["p"], "founder_key": [1], "generation": [0]}, schema=PERSON_ID)
    rules = {name: AttributeRule(prefer=tuple(each)) for name, each in prefer.items()}
    settings = MergeSettings(NOW, TODAY, attributes=rules)
    person = merge(accounts, Matching(links, ids, pl.DataFrame()), facts, settings).row(0, named=True)
    told = {each.name: each for each in attributes(accounts, links, facts, rules, today=TODAY)}
    for name in SURVIVING:
        won = person[f"from_{name}"]
        assert (name in told and told[name].winner is not None) == (won is not None)
        if won is not None:
            assert told[name].winner.account_key == won
            assert told[name].value == person[name]
    for each in told.values():
        assert all(voice.reason for voice in each.losers)
        assert len(each.losers) + (each.winner is not None) == sum(
            bool(row["present"] & BIT[each.name]) for row in full
        )
