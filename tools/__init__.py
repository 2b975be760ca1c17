"""Tools an inspection can call: heat map, compare, zoom, measure, facts. Heavy libraries load where they are used."""

from tools.evidence import Evidence

__all__ = ["Evidence"]
