"""The terminal chat: a person and the agent over one inspected part."""
