"""The base model of counts: a Poisson regression on rates of cells, with negative binomial quantiles."""
