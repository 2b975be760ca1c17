"""Checks of what a model wrote against what it cites. Nothing here asks a model.

sentence ─► looks (places, numbers), values (levels, shapes, relations), facts (claims)
              claims, clauses, quantities: readers of English
"""

from agent.verify.sentence import problems_of, verdict_problems

__all__ = ["problems_of", "verdict_problems"]
