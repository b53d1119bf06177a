"""A source of shuffles for properties: one drawn number, where `st.randoms()` would draw every swap and make examples endless."""

from random import Random

from hypothesis import strategies as st

SHUFFLER = st.integers(0, 2**32 - 1).map(Random)
