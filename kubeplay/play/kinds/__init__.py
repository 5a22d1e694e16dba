"""One small file per kind: a defaulted object becomes its share of the Stack."""
