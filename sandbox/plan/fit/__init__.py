"""Iterative models – linear, logistic and Poisson regression, k-means – from a closed request to a plan: public facts alone, no row."""
