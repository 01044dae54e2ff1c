"""Fault tests of Skein from the outside: see docs/chaos.md. Shares only the protobuf definitions with the collector."""
