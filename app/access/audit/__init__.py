"""The audit log: what was done, tried and denied, by whom; append-only, one hash chain over exact bytes."""
