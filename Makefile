# Thin: everything is done by ./dev, which also works where there is no make.
# `make test ARGS="-k key"` hands further arguments on.

PYTHON ?= python3
TARGETS := setup demo dev test check unit format lint types race reuse chaos fuzz alerts deploy-check deploy-render dist docs bench bench-quick bench-full lock clean

.DEFAULT_GOAL := help
.PHONY: help $(TARGETS)

help: ## this list
	@echo "make TARGET, or ./dev TARGET:"
	@$(PYTHON) dev help

$(TARGETS):
	@$(PYTHON) dev $@ $(ARGS)
