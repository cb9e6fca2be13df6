"""`make deploy-test`: what an installation is made of, built and run for real. Not a part of the suite: it takes some ten minutes."""
