"""What the stack of `conf/aws/template.yaml` costs a month, from its load; data first.

`prices` and `measured` are tables with their sources, `stack` is what the template makes. `load`
turns a load into quantities, and `lines` multiplies them by prices. docs/cost.md is generated from
them.
"""
